/** A model that a folder can hold, with everything that using it takes. */

import type { Backend } from '../backends/executor.js';
import { loadBackend } from '../backends/select.js';
import { join } from '../host/node.js';
import { Model, type Network } from '../train/model.js';
import { readParameters, writeModelFolder } from './folder.js';

export const backendOr = async (backend: Backend | undefined): Promise<Backend> => backend ?? (await loadBackend());

export abstract class SavedModel<N extends Network> extends Model<N> {
  /** Parameters get memory, and fresh values. @throws OutOfMemoryError */
  protected async fresh(seed: number): Promise<this> {
    await this.allocate();
    await this.initialise(seed);
    return this;
  }

  /** Parameters get memory, and values from a folder. @throws FormatError, FileError, OutOfMemoryError */
  protected async stored(folder: string): Promise<this> {
    await this.allocate();
    const { variables } = this.network.parameters.arena;
    for await (const [variable, values] of readParameters(join(folder, 'model.safetensors'), variables)) {
      await this.engine.write(variable, values);
    }
    return this;
  }

  /** Everything that config.json says, and the vocabulary where there is one. */
  protected abstract description(): {
    readonly config: Readonly<Record<string, unknown>>;
    readonly vocabulary?: unknown;
  };

  /**
   * Writes `config.json`, `model.safetensors` (PyTorch names) and, where there is a vocabulary, `vocab.json`: all that `load` needs. An old
   * model in the folder is replaced whole or not at all.
   * @throws FileError naming the file and what stood in the way.
   */
  async save(folder: string): Promise<void> {
    await writeModelFolder(folder, { ...this.description(), parameters: await this.readParameters() });
  }
}
