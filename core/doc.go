// Package core talks to nobody: it holds the words of the product as values, and
// the ports through which the rooms reach the ledger. It does no I/O, reads no
// clock and draws no random numbers.
//
// The words:
//
//   - host: a machine under test, known by its primary MAC.
//   - run: one vetting of one host with one profile; owns rules, stages, samples, verdict.
//   - profile: which stages, how long, which thresholds.
//   - stage: one step of the pipeline, with sub-steps (a disk, a NIC).
//   - verdict: pass, fail, error (we broke, not the hardware), skip (declared), unmeasurable.
//   - finding: one thing worth telling, with reason code, part, evidence and next step.
//   - sample: a value with key, unit, time and stage.
//   - hold: a failed host kept powered on for the operator.
//   - armed disk: a disk (serial, WWN) that this run may overwrite.
package core
