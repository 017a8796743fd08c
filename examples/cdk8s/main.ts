/** A cdk8s app: every object of the collection in a chart, beside your own. */
import { ApiObject, App, Chart } from 'cdk8s';
import { objects } from 'sluice/deploy';
import collection from '../collection.ts';

const app = new App({ outdir: process.argv[2] ?? 'dist' });
const chart = new Chart(app, 'collectors');
for (const object of objects(collection)) {
  const { namespace = 'cluster', name } = object.metadata;
  new ApiObject(chart, `${object.kind}-${namespace}-${name}`, object);
}
app.synth();
