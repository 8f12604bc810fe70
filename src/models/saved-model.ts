/** A model that a folder can hold, with everything that using it takes. */

import type { Backend } from '../backends/executor.js';
import { loadBackend } from '../backends/select.js';
import { join } from '../host/node.js';
import { Model, type Weights } from '../train/model.js';
import { type ModelFolder, readParameters, writeModelFolder } from './folder.js';

export const backendOr = async (backend: Backend | undefined): Promise<Backend> => backend ?? (await loadBackend());

export abstract class SavedModel<N extends Weights> extends Model<N> {
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

  /** Everything that config.json says, and what belongs beside it. */
  protected abstract description(): Omit<ModelFolder, 'parameters'>;

  /**
   * Writes `config.json`, `model.safetensors` (PyTorch names) and, where there is a vocabulary, `vocab.json`: all that `load` needs. An old
   * model in the folder is replaced whole or not at all. What is asked of the model meanwhile waits, so that all parameters are of one step.
   * @throws FileError naming the file and what stood in the way.
   */
  async save(folder: string): Promise<void> {
    const { variables } = this.network.parameters.arena;
    await this.engine.use((session) => {
      const parameters = variables.map((variable) => ({
        name: variable.name,
        shape: variable.shape,
        values: () => session.read(variable),
      }));
      return writeModelFolder(folder, { ...this.description(), parameters });
    });
  }
}
