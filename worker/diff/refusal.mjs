// A refusal: the input is broken, hostile or beyond a limit. It becomes {"error": {code, message}}.
export class Refusal extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}
