/** Reads the spec of a deployment: YAML or JSON with the place of every mistake, or a TypeScript module that exports it. */
import { existsSync, readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ConfigError, type Diagnostic, messageOf } from '../core/errors.ts';
import { type Collection, collection, fromYaml, type KubernetesObject, objectsOf, type Spec } from '../deploy/index.ts';
import { engineProblems } from './spec-check.ts';

const MODULE = /\.[cm]?[jt]s$/;

/** The objects of the spec in a file; `-` is YAML from stdin. */
export async function objectsIn(file: string): Promise<KubernetesObject[]> {
  if (MODULE.test(file)) return fromModule(file);
  let text: string;
  try {
    text = file === '-' ? readFileSync(0, 'utf8') : readFileSync(file, 'utf8');
  } catch (e) {
    throw new ConfigError(`cannot read the spec: ${messageOf(e)}`, { cause: e });
  }
  const placed = <T>(make: (spec: Spec) => T): T => fromYaml(text, file === '-' ? 'stdin' : file, make);
  const made = placed(collection);
  const problems = await engineProblems(made);
  return placed(() => objectsUnless(problems, made));
}

function objectsUnless(problems: readonly Diagnostic[], made: Collection): KubernetesObject[] {
  if (problems.length > 0) throw new ConfigError(problems, { headline: 'invalid spec' });
  return objectsOf(made);
}

/** `export default collection({…})`, or the spec itself. */
async function fromModule(file: string): Promise<KubernetesObject[]> {
  const path = resolve(file);
  if (!existsSync(path)) throw new ConfigError(`cannot read the spec: ${file} is not there`);
  resolveOurselves();
  let module: { readonly default?: unknown };
  try {
    module = (await import(pathToFileURL(path).href)) as typeof module;
  } catch (e) {
    if (e instanceof ConfigError)
      throw new ConfigError(
        e.diagnostics.map((d) => ({ file, ...d })),
        { cause: e },
      );
    // A ConfigError of another copy of this package, or what is wrong with the module.
    throw new ConfigError([{ path: [], file, message: messageOf(e) }], { cause: e, headline: 'invalid spec' });
  }
  const value = module.default;
  if (typeof value !== 'object' || value === null)
    throw new ConfigError([{ path: [], file, message: 'export the spec: export default collection({ … })' }]);
  try {
    const made = 'tiers' in value && 'spec' in value ? (value as Collection) : collection(value as Spec);
    return objectsUnless(await engineProblems(made), made);
  } catch (e) {
    if (!(e instanceof ConfigError)) throw e;
    throw new ConfigError(
      e.diagnostics.map((d) => ({ file, ...d })),
      { cause: e, headline: 'invalid spec' },
    );
  }
}

let isHooked = false;

/** `import … from 'sluice/deploy'` is this very program, wherever the spec lies. */
function resolveOurselves(): void {
  if (isHooked) return;
  isHooked = true;
  const candidates = ['../deploy/index.ts', './deploy.js', '../deploy.js'].map((p) => new URL(p, import.meta.url));
  const own = candidates.find((url) => existsSync(fileURLToPath(url)));
  if (!own) return;
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === 'sluice/deploy' ? { url: own.href, shortCircuit: true } : next(specifier, context),
  });
}
