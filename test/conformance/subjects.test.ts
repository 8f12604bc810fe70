/** Says which backends the conformance suites examine here, and why others are left out. */
import test from 'ava';
import { missing, subjects } from '../support/subjects.js';

for (const { title } of subjects) {
  test(`${title} is examined`, (t) => t.pass());
}

for (const { title, cause } of missing) {
  test.skip(`${title} is examined (skipped: ${cause})`, () => {});
}

test('the reference is always among them', (t) => {
  t.true(subjects.some(({ title }) => title === 'reference float32'));
});

const strict = subjects.filter((subject) => subject.strict);
if (strict.length < 2) {
  test.skip(`strict backends give the same bits (skipped: there are ${strict.length} strict backends here)`, () => {});
}
