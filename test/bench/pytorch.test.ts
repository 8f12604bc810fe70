/** The script that measures PyTorch takes what it is asked: PyTorch itself is not needed for that. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { stepArguments } from '../../bench/pytorch.js';
import { cellOf, modelNames } from '../../src/bench/models.js';

test('every argument of a step in PyTorch is one that its script knows', (t) => {
  const [, parser = ''] = readFileSync('bench/pytorch_step.py', 'utf8').split('ArgumentParser');
  const known = [...parser.matchAll(/"(?:--)?(\w+)"/g)].map(([, name]) => `--${name}`);
  for (const model of modelNames) {
    const asked = stepArguments(cellOf(model), 2, 1).filter((word) => word.startsWith('--'));
    t.deepEqual(
      asked.filter((name) => !known.includes(name)),
      [],
      model,
    );
  }
});
