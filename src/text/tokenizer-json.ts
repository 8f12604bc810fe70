/** The files that describe a WordPiece tokenizer to Hugging Face's libraries, and how a text is normalised. */
import { CONTINUATION } from './word-piece.js';

export interface NormalisationOptions {
  /** Whether texts are read in lower case. Default true. */
  readonly lowercase?: boolean | undefined;
  /** Whether accents are left out. Default: as `lowercase`. */
  readonly stripAccents?: boolean | undefined;
}

/** The roles of special tokens, as tokenizer_config.json calls them, and the tokens that BERT has for them. */
export const roles = {
  pad_token: '[PAD]',
  unk_token: '[UNK]',
  cls_token: '[CLS]',
  sep_token: '[SEP]',
  mask_token: '[MASK]',
} as const;

export type Role = keyof typeof roles;
export type SpecialTokens = Readonly<Record<Role, string>>;

/** Control characters go, white space is a space, Chinese characters are words; then lower case, then accents go. */
export const normalizer = ({ lowercase = true, stripAccents }: NormalisationOptions) => ({
  type: 'BertNormalizer' as const,
  clean_text: true,
  handle_chinese_chars: true,
  strip_accents: stripAccents ?? null,
  lowercase,
});

export type JsonObject = Readonly<Record<string, unknown>>;

/** [CLS] A [SEP], and [CLS] A [SEP] B [SEP] with another token type from B on. */
function template({ cls_token: begin, sep_token: end }: SpecialTokens, token: (piece: string) => number): JsonObject {
  const special = (id: string, type: number) => ({ SpecialToken: { id, type_id: type } });
  const text = (id: 'A' | 'B', type: number) => ({ Sequence: { id, type_id: type } });
  const described = [begin, end].map((id) => [id, { id, ids: [token(id)], tokens: [id] }]);
  return {
    type: 'TemplateProcessing',
    single: [special(begin, 0), text('A', 0), special(end, 0)],
    pair: [special(begin, 0), text('A', 0), special(end, 0), text('B', 1), special(end, 1)],
    special_tokens: Object.fromEntries(described),
  };
}

/** tokenizer.json of a vocabulary in the order of its tokens. */
export function tokenizerJson(
  vocabulary: readonly string[],
  special: SpecialTokens,
  normalisation: NormalisationOptions,
): JsonObject {
  const tokens = new Map(vocabulary.map((piece, token) => [piece, token]));
  const token = (piece: string): number => tokens.get(piece) as number;
  const known = Object.values(special).filter((content) => tokens.has(content));
  const added = known.map((content) => ({
    id: token(content),
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added.sort((a, b) => a.id - b.id),
    normalizer: normalizer(normalisation),
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: template(special, token),
    decoder: { type: 'WordPiece', prefix: CONTINUATION, cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: special.unk_token,
      continuing_subword_prefix: CONTINUATION,
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(tokens),
    },
  };
}

/** tokenizer_config.json, from which `transformers` makes a BertTokenizer. */
export const tokenizerConfig = (
  special: SpecialTokens,
  { lowercase = true, stripAccents }: NormalisationOptions,
): JsonObject => ({
  tokenizer_class: 'BertTokenizer',
  do_lower_case: lowercase,
  strip_accents: stripAccents ?? null,
  tokenize_chinese_chars: true,
  ...special,
});
