// Command pack puts a static binary into a container image, as an archive that
// containerd imports:
//
//	pack NAME:TAG BINARY OUT.tar [ARG...]
//
// The image holds that one file and an empty /tmp; the binary is its
// entrypoint, the ARGs are its default arguments. The same input gives the same
// bytes.
package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

type object map[string]any

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: pack NAME:TAG BINARY OUT.tar [ARG...]")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2], os.Args[3], os.Args[4:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func pack(name, binary, out string, args []string) error {
	program := filepath.Base(binary)
	content, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	layer, err := archive(
		entry{name: program, mode: 0o755, content: content},
		entry{name: "tmp/", mode: 0o1777},
	)
	if err != nil {
		return err
	}
	config, err := json.Marshal(object{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config": object{
			"Entrypoint": []string{"/" + program},
			"Cmd":        args,
			"WorkingDir": "/",
			"Env":        []string{"PATH=/"},
		},
		"rootfs":  object{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
		"history": []object{{"created_by": "pack"}},
	})
	if err != nil {
		return err
	}
	configName := fmt.Sprintf("%x.json", sha256.Sum256(config))
	manifest, err := json.Marshal([]object{
		{"Config": configName, "RepoTags": []string{name}, "Layers": []string{"layer.tar"}},
	})
	if err != nil {
		return err
	}
	image, err := archive(
		entry{name: configName, mode: 0o644, content: config},
		entry{name: "layer.tar", mode: 0o644, content: layer},
		entry{name: "manifest.json", mode: 0o644, content: manifest},
	)
	if err != nil {
		return err
	}
	if err := os.WriteFile(out+".part", image, 0o644); err != nil {
		return err
	}
	return os.Rename(out+".part", out)
}

// entry is a file, or a folder when its name ends in a slash.
type entry struct {
	name    string
	mode    int64
	content []byte
}

func archive(entries ...entry) ([]byte, error) {
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	for _, e := range entries {
		header := tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.content)), Format: tar.FormatUSTAR}
		header.Typeflag = tar.TypeReg
		if e.name[len(e.name)-1] == '/' {
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(&header); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}
