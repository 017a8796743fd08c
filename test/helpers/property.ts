/**
 * fast-check with a seed that is always the same, so that what a run says of a change is about the change.
 * `SLUICE_SEED=random` looks elsewhere, `SLUICE_SEED=<number>` where another run found something (its failure names it).
 */
import fc from 'fast-check';

const seed = process.env.SLUICE_SEED;
if (seed !== 'random') fc.configureGlobal({ seed: Number(seed ?? 20_261_123) });

export default fc;
