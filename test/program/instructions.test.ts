/** The instruction list keeps the rules it states about itself. */
import test from 'ava';
import { bytesOf, flopsOf, workspaceOf } from '../../src/program/cost.js';
import { evaluate, namesOf } from '../../src/program/expression.js';
import { type InstructionSpec, instructionNames, specOf } from '../../src/program/instructions.js';

/** Registers a rule; `offenders` names what breaks it in one instruction. */
function rule(title: string, offenders: (spec: InstructionSpec) => string[]): void {
  test(title, (t) => {
    const found = instructionNames.flatMap((name) => offenders(specOf(name)).map((what) => `${name}: ${what}`));
    t.deepEqual(found, []);
  });
}

rule('every expression is about the dimensions of its instruction', ({ operands, dims, flops, workspace }) => {
  const places = Object.values(operands).flatMap(({ shape, strides = [] }) => [...shape, ...strides]);
  const ofWorkspace = namesOf(workspace ?? '').filter((name) => name !== 'lanes');
  return [...[...places, flops].flatMap(namesOf), ...ofWorkspace].filter((name) => !dims.includes(name));
});

rule('a workspace is one for all lanes or one for each', ({ dims, workspace = '0' }) => {
  const ones = Object.fromEntries(dims.map((name) => [name, 1]));
  return namesOf(workspace).includes('lanes') && evaluate(workspace, { ...ones, lanes: 0 }) !== 0 ? [workspace] : [];
});

rule('strides are given for every axis, up to four', ({ operands }) =>
  Object.entries(operands)
    .filter(([, { shape, strides = shape }]) => strides.length !== shape.length || shape.length > 4)
    .map(([name]) => name),
);

rule('only a written operand replaces another: one that is read, of the same shape and type', ({ operands }) =>
  Object.entries(operands)
    .filter(([, { mayReplace, access, shape, type }]) => {
      if (mayReplace === undefined) return false;
      const replaced = operands[mayReplace];
      const alike = `${replaced?.shape}` === `${shape}` && replaced?.type === type;
      return access !== 'write' || replaced?.access !== 'read' || !alike;
    })
    .map(([name]) => name),
);

rule('no name means two things', ({ operands, dims, scalars = [] }) => {
  const names = [...Object.keys(operands), ...dims, ...scalars];
  return names.filter((name, index) => names.indexOf(name) !== index);
});

rule('something is written', ({ operands }) =>
  Object.values(operands).some(({ access }) => access !== 'read' && access !== 'scratch') ? [] : ['nothing'],
);

test('a call costs what its dimensions say', (t) => {
  const operands = { a: 0, b: 0, c: 0 };
  const dims = {
    batch: 2,
    M: 3,
    N: 5,
    K: 7,
    aBatch: 21,
    aRow: 7,
    aColumn: 1,
    bBatch: 35,
    bRow: 5,
    bColumn: 1,
    cBatch: 15,
    cRow: 5,
    bfloat16: 0,
    activation: 0,
  };
  const elements = 2 * (3 * 7 + 7 * 5);
  t.is(flopsOf({ instruction: 'matmul', operands, dims, scalars: {} }), 2 * 2 * 3 * 5 * 7);
  t.is(bytesOf({ instruction: 'matmul', operands, dims, scalars: {} }), 4 * (elements + 30));
  t.is(
    bytesOf({ instruction: 'matmul', operands: { ...operands, bias: 0 }, dims, scalars: {} }),
    4 * (elements + 30 + 5),
  );
  t.is(bytesOf({ instruction: 'matmulAdd', operands, dims, scalars: {} }), 4 * (elements + 2 * 30));
  t.is(workspaceOf({ instruction: 'matmul', operands, dims, scalars: {} }, 4), 256 * (3 + 5 + 256));
  t.is(workspaceOf({ instruction: 'add', operands, dims: { n: 5 }, scalars: {} }, 4), 0);
  const attention = { B: 2, T: 300, NH: 3, HS: 8, causal: 0, stream: 0 };
  const ofLanes = (lanes: number): number =>
    workspaceOf({ instruction: 'attention', operands, dims: attention, scalars: {} }, lanes);
  t.true(ofLanes(1) > 0);
  t.is(ofLanes(4), 4 * ofLanes(1), 'each lane has blocks of its own');
});
