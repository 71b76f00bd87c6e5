// Money as whole millionths (BigInt) and the names of the accounts it moves between: payouts/ledger/money.py.

import { isText } from "./fields.js";
import { refuse } from "./refused.js";

export const CURRENCY = "[A-Z]{3}";
export const SCID = "Qm[1-9A-HJ-NP-Za-km-z]{44}";
export const PERIOD = "[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?(?:\\.[1-9][0-9]{0,2})?";
export const ORIGIN = "[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[1-9][0-9]{0,4})?/ledger/[1-9][0-9]{0,3}";
export const NAME = "[a-z0-9](?:[a-z0-9_.-]{0,62}[a-z0-9])?";
export const isScid = isText(SCID);
export const isOrigin = isText(ORIGIN);
export const isCurrency = isText(CURRENCY);
export const isName = isText(NAME);

const isAmount = isText("0|-?[1-9][0-9]{0,17}");
const ACCOUNT = new RegExp(`^([ALEX]:[a-z-]+)(?::([A-Za-z0-9_.:/-]+))?#(${CURRENCY})/6$`);
// Kind -> a check of what stands after it.
const KINDS = new Map(
  Object.entries({
    "A:cash": NAME,
    "A:peer": ORIGIN,
    "L:payee": SCID,
    "L:hold": SCID,
    "L:unclaimed": SCID,
    "L:transit": NAME,
    "L:pool": `${NAME}:${PERIOD}`,
    "L:viewers": PERIOD,
    "L:contributors": PERIOD,
    "L:advertiser": NAME,
    "L:peer": ORIGIN,
    "L:tax": "[a-z]{2}",
    "L:ops": "",
    "E:reserve": "",
    "X:psp-fee": "",
    "X:refund": "",
  }).map(([kind, detail]) => [kind, isText(detail)]),
);

export function parseAmount(text) {
  if (!isAmount(text)) refuse("bad_amount", `${text} is no amount`);
  return BigInt(text);
}

export function parseAccount(name) {
  const found = ACCOUNT.exec(name);
  if (found === null) refuse("bad_account", `${name} is no account`);
  const [, kind, detail = "", currency] = found;
  const isDetail = KINDS.get(kind);
  if (isDetail === undefined) refuse("unknown_account", `${kind} is no kind of account`);
  if (!isDetail(detail)) refuse("bad_account", `${name} does not name one ${kind}`);
  return { kind, detail, currency };
}

/** The decimal string of an amount. */
export function formatAmount(millionths) {
  if (millionths <= -(10n ** 18n) || millionths >= 10n ** 18n) refuse("bad_amount", "more than 18 digits");
  return String(millionths);
}
