/**
 * The way to @huggingface/tokenizers: loaded when it is needed, since pages that need it not shall not have to find it, and with types of our own,
 * since its own name files without extensions, which modules of Node do not resolve.
 */
export interface Encoder {
  encode(text: string, options: { add_special_tokens: boolean }): { readonly ids: readonly number[] };
  decode(
    tokens: readonly number[],
    options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean },
  ): string;
}

interface Library {
  readonly Tokenizer: new (json: object, config: object) => Encoder;
  readonly BertNormalizer: new (config: object) => { normalize(text: string): string };
  readonly BertPreTokenizer: new () => { pre_tokenize(text: string): readonly string[] };
}

export const library = async (): Promise<Library> => (await import('@huggingface/tokenizers')) as unknown as Library;
