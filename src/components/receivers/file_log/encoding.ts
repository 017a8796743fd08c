/** Encodings of files: how lines end in them and how their bytes become UTF-8. */

export interface Encoding {
  /** `bytes`: no text, not split into lines. `utf8`: taken as it is. Else decoded. */
  readonly kind: 'bytes' | 'utf8' | 'decoded';
  /** Bytes of one unit: 2 for UTF-16. Line ends stand at multiples of it. */
  readonly unit: 1 | 2;
  readonly bigEndian: boolean;
  /** UTF-8 of buf[start, end), or undefined when the bytes cannot be decoded. */
  decode(buf: Buffer, start: number, end: number): Buffer | undefined;
}

const UTF8_NAMES = new Set(['', 'utf-8', 'utf8', 'ascii', 'us-ascii', 'utf-8-raw', 'utf8-raw']);
const UTF16_NAMES: Readonly<Record<string, string>> = {
  'utf-16': 'utf-16le',
  utf16: 'utf-16le',
  'utf-16le': 'utf-16le',
  utf16le: 'utf-16le',
  'utf-16be': 'utf-16be',
  utf16be: 'utf-16be',
};

const asIs = (buf: Buffer, start: number, end: number): Buffer => buf.subarray(start, end);

function decoderFor(label: string): TextDecoder | undefined {
  try {
    return new TextDecoder(label, { ignoreBOM: true });
  } catch {
    return undefined;
  }
}

export const isKnownEncoding = (name: string): boolean => encodingOf(name) !== undefined;

export function encodingOf(name: string): Encoding | undefined {
  const label = name.toLowerCase();
  if (label === 'nop') return { kind: 'bytes', unit: 1, bigEndian: false, decode: asIs };
  if (UTF8_NAMES.has(label)) return { kind: 'utf8', unit: 1, bigEndian: false, decode: asIs };
  const utf16 = UTF16_NAMES[label];
  const decoder = decoderFor(utf16 ?? label);
  if (!decoder) return undefined;
  return {
    kind: 'decoded',
    unit: utf16 ? 2 : 1,
    bigEndian: utf16 === 'utf-16be',
    decode: (buf, start, end) => {
      try {
        return Buffer.from(decoder.decode(buf.subarray(start, end)), 'utf8');
      } catch {
        return undefined;
      }
    },
  };
}
