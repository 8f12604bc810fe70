/**
 * The native code built another way, each in a folder of its own: for another processor, with the compiler's sanitizers, or as
 * a fuzzer.
 */
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, rm, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { BuildError, run } from './command.js';
import { compile, findLack, findProgram } from './native.js';

/** A program that is needed, under the first of its names that starts, and what it comes with. */
interface Tool {
  readonly names: readonly string[];
  readonly debian: string;
}

interface Variant {
  readonly tools: { readonly cxx: Tool } & Readonly<Record<string, Tool>>;
  readonly arch?: string;
  /** For binding.gyp. */
  readonly definitions: readonly string[];
  /** What is made of binding.gyp; everything, where none is named. */
  readonly targets: readonly string[];
  /** For the compiler, through make. */
  readonly environment?: Readonly<Record<string, string>>;
}

const gcc: Tool = { names: ['g++'], debian: 'g++' };
const clang: Tool = {
  names: ['clang++', ...[19, 18, 17, 16, 15, 14].map((version) => `clang++-${version}`)],
  debian: 'clang libclang-rt-14-dev',
};

const variants = {
  arm64: {
    tools: {
      cxx: { names: ['aarch64-linux-gnu-g++'], debian: 'g++-aarch64-linux-gnu' },
      emulator: { names: ['qemu-aarch64', 'qemu-aarch64-static'], debian: 'qemu-user' },
    },
    arch: 'arm64',
    definitions: ['seqgrad_replay=1'],
    targets: ['replay'],
    environment: { LDFLAGS: '-static' }, // an emulator need not know where the libraries are
  },
  asan: { tools: { cxx: gcc }, definitions: ['seqgrad_replay=1', 'seqgrad_sanitize=address,undefined'], targets: [] },
  tsan: { tools: { cxx: gcc }, definitions: ['seqgrad_replay=1', 'seqgrad_sanitize=thread'], targets: [] },
  fuzz: {
    tools: { cxx: clang },
    definitions: ['seqgrad_fuzz=1', 'seqgrad_sanitize=address'],
    targets: ['fuzz'],
  },
} as const satisfies Record<string, Variant>;

export type VariantName = keyof typeof variants;

export interface Built {
  readonly folder: string;
  /** The file of a target, such as `replay`. */
  readonly file: (target: string) => string;
  /** The tools by the names they go by here. */
  readonly tools: Readonly<Record<string, string>>;
}

/** The tools, by the names they go by here, or what this machine lacks. */
async function findTools(name: VariantName): Promise<{ lack: string } | { tools: Record<string, string> }> {
  const tools: Record<string, string> = {};
  const lacks: string[] = [];
  for (const [role, { names, debian }] of Object.entries<Tool>(variants[name].tools)) {
    const found = await findProgram(...names);
    if (found === undefined) lacks.push(`no ${names[0]} (Debian: apt-get install ${debian})`);
    else tools[role] = found;
  }
  if (lacks.length > 0) return { lack: lacks.join('; ') };
  const lack = await findLack();
  return lack === undefined ? { tools } : { lack };
}

/** What this machine lacks for a variant, and its name in Debian; `undefined` where it has everything. */
export async function variantLack(name: VariantName): Promise<string | undefined> {
  const found = await findTools(name);
  return 'lack' in found ? found.lack : undefined;
}

/** A folder that holds what the project's folder holds, but has a build of its own. */
async function mirror(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const name of await readdir('.')) {
    if (['build', 'dist'].includes(name) || name.startsWith('.')) continue;
    const link = join(folder, name);
    if (!existsSync(link)) await symlink(resolve(name), link);
  }
  // A copy: modules look for the addon beside the place they really are at.
  await rm(join(folder, 'dist'), { recursive: true, force: true });
  await cp('dist', join(folder, 'dist'), { recursive: true });
}

/**
 * Builds a variant, compiling only what changed.
 * @returns what was built, or what this machine lacks for it.
 * @throws BuildError with the compiler's words.
 */
export async function buildVariant(name: VariantName): Promise<Built | { readonly lack: string }> {
  const found = await findTools(name);
  if ('lack' in found) return found;
  const { tools } = found;
  const { definitions, targets, arch, environment = {} } = variants[name] as Variant;
  const folder = resolve('build', name);
  await mirror(folder);
  const cxx = tools.cxx as string;
  await compile({
    folder,
    targets,
    options: arch === undefined ? [] : [`--arch=${arch}`],
    definitions,
    environment: { ...environment, CXX: cxx, CC: cxx.replace('++', cxx.includes('clang') ? '' : 'cc') },
  });
  return { folder, tools, file: (target) => join(folder, 'build/Release', target) };
}

/** The file of a runtime library that comes with a compiler, such as `libasan.so`. */
export async function runtimeLibrary(compiler: string, name: string): Promise<string> {
  const { output } = await run(compiler, `-print-file-name=${name}`);
  const file = output.trim();
  if (!existsSync(file)) throw new BuildError(`Expected ${name} to come with ${compiler} but it is not there`);
  return file;
}
