/** `npm start`: the same as `sluice up`. */
import { up } from './up.ts';

process.exitCode = await up(process.argv.slice(2));
