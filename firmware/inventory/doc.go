// Package inventory reads what a machine says of itself in its firmware: the
// SMBIOS tables (DSP0134), the microcode of its CPUs, the EFI system resource
// table, the management engine and the TPM. It takes the machine as an fs.FS over
// the root of its file system, so that recorded machines replay.
//
// Everything read is foreign: tables may be cut, overlong or lies. Readers return
// what can be told and leave the rest empty; placeholders count as not told.
package inventory
