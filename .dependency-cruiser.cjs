/**
 * Arrows point down only:
 *
 *     cli → bench → models → inspect → train → nn, optim → ops → graph → program
 *     backends → program
 *     formats, metrics: leaves; text: data, formats; data, which knows options and random numbers of program; any layer from nn upwards may use them
 *     host: what Node has, a leaf for all
 *
 * Graph and ops know instructions, never a backend: programs are run by train and above.
 */
const mayUse = {
  program: [],
  graph: ['program'],
  ops: ['graph', 'program'],
  optim: ['ops', 'graph', 'program'],
  nn: ['ops', 'graph', 'program', 'data', 'formats'],
  backends: ['program'],
  inspect: ['train', 'nn', 'optim', 'ops', 'graph', 'program', 'backends', 'data', 'formats'],
  train: ['nn', 'optim', 'ops', 'graph', 'program', 'backends', 'data', 'formats'],
  models: [
    'train',
    'inspect',
    'nn',
    'optim',
    'ops',
    'graph',
    'program',
    'backends',
    'text',
    'data',
    'formats',
    'metrics',
  ],
  bench: ['models', 'train', 'inspect', 'nn', 'optim', 'ops', 'graph', 'program', 'backends', 'data', 'formats'],
  cli: [
    'bench',
    'models',
    'train',
    'inspect',
    'nn',
    'optim',
    'ops',
    'graph',
    'program',
    'backends',
    'text',
    'data',
    'formats',
    'metrics',
  ],
  text: ['data', 'formats', 'program'],
  data: ['program'],
  formats: [],
  metrics: [],
  host: [],
  toolchain: [],
};

const layers = Object.entries(mayUse).map(([layer, below]) => ({
  name: `${layer}-points-down`,
  comment: below.length === 0 ? `${layer} imports no other layer` : `${layer} imports only ${below.join(', ')}`,
  severity: 'error',
  from: { path: `^src/${layer}/` },
  to: { path: '^src/', pathNot: `^src/(${[layer, 'host', ...below].join('|')})/` },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...layers,
    {
      name: 'no-cycles',
      comment: 'of modules that load each other; two types of one folder may speak of each other',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'known-layer',
      comment: 'a new folder of src needs its row in this file',
      severity: 'error',
      from: { path: '^src/.+/', pathNot: `^src/(${Object.keys(mayUse).join('|')})/` },
      to: {},
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-dev-dependencies',
      comment: 'what ships needs only what is installed with it',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/toolchain/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types'] },
  },
};
