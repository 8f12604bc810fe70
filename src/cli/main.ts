#!/usr/bin/env node
/** The `seqgrad` command: a registry of subcommands, one file each. */
import { Command } from 'commander';
import { defineBench } from './bench/bench.js';
import { fail } from './command.js';
import { defineDoctor } from './doctor.js';
import { defineEmbed } from './embed.js';
import { defineEvaluate } from './evaluate.js';
import { defineGenerate } from './generate.js';
import { defineGrad } from './grad.js';
import { packageVersion } from './package.js';
import { definePredict } from './predict.js';
import { defineTrain } from './train.js';

const program = new Command('seqgrad')
  .description('Train sequence models inside Node, on native SIMD or WASM, and read every gradient.')
  .version(packageVersion())
  .configureHelp({ sortSubcommands: false })
  .showHelpAfterError('(add --help for the options)');

for (const define of [
  defineTrain,
  definePredict,
  defineEvaluate,
  defineEmbed,
  defineGenerate,
  defineGrad,
  defineBench,
  defineDoctor,
])
  define(program);

// The reader has gone (`| head`): end as a process does that SIGPIPE ends. Or the disk is full: say so.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') process.stderr.write(`seqgrad: Expected to write the output but ${error.message}\n`);
  process.exit(error.code === 'EPIPE' ? 141 : 1);
});

await program.parseAsync().catch(fail);
