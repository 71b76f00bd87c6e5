// Judge logs with npm didwebvh-ts: one JSON object a line in ({log, requested, witness}), one verdict a line out.
// The caller brings the Ed25519 check; ours is Node's, which is OpenSSL's.
import { createPublicKey, verify } from 'node:crypto';
import { createInterface } from 'node:readline';
import { resolveDIDFromLog } from 'didwebvh-ts';

const SPKI = Buffer.from('302a300506032b6570032100', 'hex');
const verifier = {
  async verify(signature, message, publicKey) {
    const key = createPublicKey({ key: Buffer.concat([SPKI, Buffer.from(publicKey)]), format: 'der', type: 'spki' });
    return verify(null, message, key, signature);
  },
};
// Standard output is for verdicts; the library talks.
console.log = console.warn = console.error;

for await (const line of createInterface({ input: process.stdin })) {
  const { log, requested, witness } = JSON.parse(line);
  let verdict;
  try {
    const entries = log.trim().split('\n').map((one) => JSON.parse(one));
    const found = await resolveDIDFromLog(entries, { verifier, requestedDid: requested, witnessProofs: witness });
    verdict = found.meta.error
      ? { accepted: false, reason: String(found.meta.problemDetails?.detail ?? found.meta.error) }
      : { accepted: true, versionId: found.meta.versionId, id: found.doc?.id ?? found.did };
  } catch (error) {
    verdict = { accepted: false, reason: String(error.message) };
  }
  process.stdout.write(JSON.stringify(verdict) + '\n');
}
