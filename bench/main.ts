/** `npm run bench`: what only developers measure. Users, and developers too, have `seqgrad bench`. */
import { Command } from 'commander';
import { fail } from '../src/cli/command.js';
import { defineDelay } from './delay.js';
import { defineMicro } from './micro.js';
import { definePadding } from './padding.js';
import { definePytorch } from './pytorch.js';
import { defineSubnormals } from './subnormals.js';
import { defineThreads } from './threads.js';

const program = new Command('npm run bench --').description('speed, for developers; users have `seqgrad bench`');
defineMicro(program);
definePytorch(program);
defineDelay(program);
definePadding(program);
defineSubnormals(program);
defineThreads(program);
await program.parseAsync().catch(fail);
