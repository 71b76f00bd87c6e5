// A refusal: `code` is the reason's name in docs/reference/ledger-format.md, the message is for people.

export class Refused extends Error {
  constructor(code, detail = "") {
    super(detail || code);
    this.name = "Refused";
    this.code = code;
  }
}

export function refuse(code, detail) {
  throw new Refused(code, detail);
}
