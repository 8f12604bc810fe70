/**
 * Planning: a graph becomes a program. Every root gets a location. A result takes over the location of the value it starts from, or
 * may replace, where nobody reads that value afterwards; and a variable's own location where it is what the variable is assigned.
 */
import { findOverlap } from '../program/check.js';
import type { AnyCall } from '../program/encode.js';
import { specOf } from '../program/instructions.js';
import { type Place, type PlannedCall, type Port, Program } from '../program/program.js';
import type { Variable } from '../program/variable.js';
import { fuse } from './fuse.js';
import { type Assignment, call, type Graph, type Node } from './graph.js';
import { analyseLiveness, END, finalReadsOf, type Liveness, neededNodes } from './liveness.js';
import { type Block, place } from './place.js';
import { type Root, Tensor } from './tensor.js';

/** Memory that one root after another may live in. */
interface Location extends Block {
  readonly variable?: Variable | undefined;
  first: number;
  last: number;
}

/** A call whose operands may be tensors of the graph or, for copies the planner adds, whole locations. */
type Step = { readonly call: AnyCall<Tensor>; readonly label: string };

/** Compiles a traced graph. */
export function plan(graph: Graph): Program {
  const finalReads = finalReadsOf(graph);
  const liveness = analyseLiveness(graph, fuse(neededNodes(graph, finalReads), finalReads), finalReads);
  const planner = new Planner(graph, liveness);
  const steps = planner.run();
  const transient = [...new Set(planner.locations.values())].filter(({ variable }) => variable === undefined);
  const { offsets, elements } = place(transient);

  const placeOf = (tensor: Tensor): Place => {
    const location = planner.locations.get(tensor.root) as Location;
    const { variable } = location;
    return variable === undefined
      ? { offset: (offsets.get(location) as number) + tensor.offset }
      : { variable, offset: tensor.offset };
  };
  const port = (tensor: Tensor): Port => ({ place: placeOf(tensor), shape: tensor.shape, type: tensor.type });
  const calls = steps.map(({ call: { instruction, operands, dims, scalars }, label }): PlannedCall => {
    const places = Object.entries(operands).map(([name, tensor]) => [name, tensor && placeOf(tensor)]);
    return { instruction, operands: Object.fromEntries(places), dims, scalars, label };
  });
  for (const planned of calls) refuseOverlap(planned);
  const used = new Map([...graph.inputs].filter(([, tensor]) => planner.locations.has(tensor.root)));
  return new Program(
    calls,
    new Map([...used].map(([name, tensor]) => [name, port(tensor)])),
    new Set([...graph.inputs.keys()].filter((name) => !used.has(name))),
    new Map([...planner.outputs].map(([name, tensor]) => [name, port(tensor)])),
    elements,
  );
}

/** Operands in one variable or in the transient arena must not overlap unless the contract lets them: a fault of the planner. */
function refuseOverlap(planned: PlannedCall): void {
  const arenas = new Map<unknown, number>();
  const apart = (placed: Place | undefined): number | undefined => {
    if (placed === undefined) return undefined;
    const arena = placed.variable?.arena;
    if (!arenas.has(arena)) arenas.set(arena, arenas.size * 2 ** 40);
    return (arenas.get(arena) as number) + (placed.variable?.offset ?? 0) + placed.offset;
  };
  const operands = Object.entries(planned.operands).map(([name, placed]) => [name, apart(placed)]);
  const overlap = findOverlap({ ...planned, operands: Object.fromEntries(operands) });
  if (overlap === undefined) return;
  throw new Error(`plan: ${planned.label} ${planned.instruction}: \`${overlap[0]}\` overlaps \`${overlap[1]}\``);
}

/** Whether a node reads a value in more places than the one that its result takes over: what it starts from, or one operand. */
function readBesides(node: Node, old: Root): boolean {
  const reads = node.calls.flatMap(({ operands }) => Object.values(operands)).filter((tensor) => tensor?.root === old);
  const results = new Set(Object.values(node.outputs).map(({ root }) => root));
  const starts = [...results].filter(({ initial }) => initial?.root === old);
  return reads.length + starts.length > 1;
}

class Planner {
  readonly locations = new Map<Root, Location>();
  readonly outputs: Map<string, Tensor>;
  /** The locations of variables, by name. */
  readonly #variables = new Map<string, Location>();
  /** The variable whose new value a root is, or leads to by updates in place. */
  readonly #homes = new Map<Root, Variable>();
  /** The root each location holds now. */
  readonly #occupant = new Map<Location, Root>();
  readonly #steps: Step[] = [];

  constructor(
    readonly graph: Graph,
    readonly liveness: Liveness,
  ) {
    this.outputs = new Map(graph.outputs);
  }

  run(): readonly Step[] {
    for (const assignment of this.graph.assignments) this.#findHome(assignment);
    for (const tensor of this.graph.inputs.values()) {
      if (this.liveness.lastRead.has(tensor.root)) this.#locate(tensor.root, this.#fresh(tensor.root));
    }
    for (const root of this.liveness.lastRead.keys()) {
      if (typeof root.source === 'object' && 'variable' in root.source) {
        this.#locate(root, this.#variableLocation(root.source.variable));
      }
    }
    for (const [position, node] of this.liveness.nodes.entries()) this.#visit(node, position);
    this.#assign();
    return this.#steps;
  }

  #variableLocation(variable: Variable): Location {
    const key = variable.toString();
    let location = this.#variables.get(key);
    if (location === undefined) {
      this.#refuseOverlap(variable);
      location = { variable, elements: variable.elements, first: -1, last: END };
      this.#variables.set(key, location);
    }
    return location;
  }

  /** One graph sees a variable whole or in parts, not both: a change of one would go unseen in the other. */
  #refuseOverlap({ arena, offset, elements, name }: Variable): void {
    for (const { variable: other } of this.#variables.values()) {
      if (other?.arena !== arena || offset + elements <= other.offset || other.offset + other.elements <= offset)
        continue;
      throw new Error(`plan: ${arena.name}/${name} and ${other} share memory: use one or the other in a graph`);
    }
  }

  #findHome({ variable, value, condition }: Assignment): void {
    if (condition !== undefined || !value.isWhole) return;
    for (let root: Root | undefined = value.root; root?.source === 'node' && !this.#homes.has(root); ) {
      this.#homes.set(root, variable);
      root = root.initial?.isWhole ? root.initial.root : undefined;
    }
  }

  #visit(node: Node, position: number): void {
    for (const full of node.calls) {
      const each = this.#withoutUnread(full);
      for (const [name, tensor] of Object.entries(each.operands)) {
        if (tensor === undefined || this.locations.has(tensor.root)) continue;
        const replaceable = specOf(each.instruction).operands[name]?.mayReplace;
        const replaced = replaceable === undefined ? undefined : each.operands[replaceable];
        this.#placeResult(tensor.root, replaced, node, position);
      }
      this.#steps.push({ call: each, label: node.label });
    }
  }

  /** A call without the optional results that nobody reads. */
  #withoutUnread(full: AnyCall<Tensor>): AnyCall<Tensor> {
    const { operands } = specOf(full.instruction);
    const kept = Object.entries(full.operands).filter(
      ([name, tensor]) =>
        !(
          operands[name]?.optional &&
          operands[name].access === 'write' &&
          tensor &&
          !this.liveness.read.has(tensor.root)
        ),
    );
    return { ...full, operands: Object.fromEntries(kept) };
  }

  /** Chooses the location of a root that a node makes, copying its initial value there if it starts elsewhere. */
  #placeResult(root: Root, replaced: Tensor | undefined, node: Node, position: number): void {
    const { initial } = root;
    const home = this.#homeFor(root, node, position);
    if (home !== undefined) this.#locate(root, home);
    else if (initial !== undefined && this.#canTakeOver(root, initial, node, position)) {
      this.#locate(root, this.locations.get(initial.root) as Location);
    } else if (replaced !== undefined && this.#canTakeOver(root, replaced, node, position)) {
      this.#locate(root, this.locations.get(replaced.root) as Location);
    } else this.#locate(root, this.#fresh(root));

    if (initial === undefined) return;
    if (this.locations.get(initial.root) === this.locations.get(root) && initial.offset === 0) return;
    this.#copy(initial, new Tensor(this.graph, root, 0, initial.shape, initial.type), node.label);
  }

  /** The location of the variable a root is to become, if nobody needs what is there from here on. */
  #homeFor(root: Root, node: Node, position: number): Location | undefined {
    const variable = this.#homes.get(root);
    if (variable === undefined || variable.elements !== root.elements) return undefined;
    const location = this.#variableLocation(variable);
    const occupant = this.#occupant.get(location);
    if (occupant !== undefined && (this.liveness.lastRead.get(occupant) ?? -1) >= position) {
      const startsFromIt = root.initial?.root === occupant && root.initial.isWhole && !readBesides(node, occupant);
      if (!startsFromIt || this.liveness.lastRead.get(occupant) !== position) return undefined;
    }
    return location;
  }

  #canTakeOver(root: Root, old: Tensor, node: Node, position: number): boolean {
    const location = this.locations.get(old.root);
    if (location === undefined || location.variable !== undefined) return false;
    return (
      old.isWhole &&
      old.root.elements === root.elements &&
      !readBesides(node, old.root) &&
      this.#occupant.get(location) === old.root &&
      this.liveness.lastRead.get(old.root) === position
    );
  }

  #fresh(root: Root): Location {
    const made = this.liveness.made.get(root) as number;
    return { elements: root.elements, first: made, last: made };
  }

  #locate(root: Root, location: Location): void {
    this.locations.set(root, location);
    this.#occupant.set(location, root);
    if (location.variable === undefined)
      location.last = Math.max(location.last, this.liveness.lastRead.get(root) as number);
  }

  #copy(from: Tensor, to: Tensor, label: string, condition?: Tensor): void {
    const n = from.elements;
    const step =
      condition === undefined
        ? call(
            'copy',
            { x: from, y: to },
            { n0: 1, n1: 1, n2: 1, n3: n, x0: n, x1: n, x2: n, x3: 1, y0: n, y1: n, y2: n, y3: 1 },
          )
        : call('copyIf', { flag: condition, x: from, y: to }, { n });
    this.#steps.push({ call: step, label });
  }

  /** The assignments that no result took care of by its place; values that they would overwrite are set aside first. */
  #assign(): void {
    const open = this.graph.assignments.filter(
      ({ variable, value }) => !(value.isWhole && this.locations.get(value.root) === this.#variableLocation(variable)),
    );
    const overwritten = new Set(open.map(({ variable }) => this.#variableLocation(variable)));
    const setAside = (value: Tensor): Tensor => {
      if (!overwritten.has(this.locations.get(value.root) as Location)) return value;
      const aside = this.#shadow(value, { elements: value.elements, first: this.liveness.nodes.length, last: END });
      this.#copy(value, aside, 'assign');
      return aside;
    };
    for (const [name, tensor] of this.outputs) this.outputs.set(name, setAside(tensor));
    const safe = open.map(({ variable, value, condition }) => ({
      variable,
      value: setAside(value),
      condition: condition && setAside(condition),
    }));
    for (const { variable, value, condition } of safe) {
      this.#copy(value, this.#shadow(value, this.#variableLocation(variable)), 'assign', condition);
    }
  }

  /** A tensor like another one, at a location of its own. */
  #shadow({ graph, elements, shape, type }: Tensor, location: Location): Tensor {
    const root: Root = { id: -1, elements, source: 'node' };
    this.locations.set(root, location);
    return new Tensor(graph, root, 0, shape, type);
  }
}
