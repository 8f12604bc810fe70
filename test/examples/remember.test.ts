import { checkShort, rowsOf } from './remembering.js';
import { layout, onFast, outputOnPage, runExample } from './run.js';

onFast('remembering word 2 until words 10 and 20', async (t, backend) => {
  const output = await runExample('remember', backend, '10', '20');
  checkShort(t, rowsOf(output));
  const page = layout(await outputOnPage('remember')).split('\n');
  for (const line of layout(output).split('\n').slice(1)) t.true(page.includes(line), line);
});
