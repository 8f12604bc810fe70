/**
 * Size expressions: sums, products and quotients of integers and dimension names, such as `4 * H` or `(R + 63) / 64`.
 * They are evaluated in double precision here, in C++ and in AssemblyScript alike, so no product of 32-bit dimensions can wrap around.
 */

const TOKEN = /\s*(?:(\d+)|([A-Za-z]\w*)|([()+*/]))/y;

/** Renders an expression, mapping every integer and every dimension name. */
export function mapExpression(
  expression: string,
  integer: (text: string) => string,
  name: (text: string) => string,
): string {
  let rendered = '';
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < expression.length) {
    const token = TOKEN.exec(expression);
    if (token === null) throw new SyntaxError(`not a size expression: ${expression}`);
    const [, digits, identifier, symbol] = token;
    rendered += digits !== undefined ? integer(digits) : identifier !== undefined ? name(identifier) : ` ${symbol} `;
  }
  return rendered.replace(/ +/g, ' ').trim();
}

/** The dimension names an expression mentions. */
export function namesOf(expression: string): string[] {
  const names: string[] = [];
  mapExpression(
    expression,
    (digits) => digits,
    (name) => {
      names.push(name);
      return name;
    },
  );
  return names;
}

/** The value of an expression for given dimensions. */
export function evaluate(expression: string, dims: Readonly<Record<string, number>>): number {
  const tokens = mapExpression(
    expression,
    (digits) => ` ${digits} `,
    (name) => {
      const value = dims[name];
      if (value === undefined) throw new ReferenceError(`unknown dimension ${name} in ${expression}`);
      return ` ${value} `;
    },
  )
    .split(/\s+/)
    .filter((token) => token !== '');
  let at = 0;
  const factor = (): number => {
    const token = tokens[at++];
    if (token !== '(') return Number(token);
    const value = sum();
    at++; // the closing parenthesis
    return value;
  };
  const product = (): number => {
    let value = factor();
    while (tokens[at] === '*' || tokens[at] === '/') value = tokens[at++] === '*' ? value * factor() : value / factor();
    return value;
  };
  const sum = (): number => {
    let value = product();
    while (tokens[at] === '+') {
      at++;
      value += product();
    }
    return value;
  };
  return sum();
}
