export type { ServerAddress, ServerAddressFields } from "./address.ts"
export {
  evidence,
  type Evidence,
  type EvidenceTargets,
  type EvidenceWatch,
  type LiveEvidence
} from "./evidence.ts"
export type { Amount, ExpectedCommands, ExpectedEvidence } from "./expectation.ts"
export type { ServerEvidence, ServerIdentity } from "./snapshot.ts"
