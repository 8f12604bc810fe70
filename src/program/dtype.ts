/** What the factors of matrix products are rounded to before they are multiplied; what is stored and summed is float32 in either case. */
export const dtypes = ['float32', 'bfloat16'] as const;
export type Dtype = (typeof dtypes)[number];
