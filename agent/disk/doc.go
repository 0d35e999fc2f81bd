// Package disk speaks with disks in their own words: ATA (ACS-4), SCSI (SPC-5,
// SBC-4) and NVMe (base specification 2.0) commands, and the decoding of what
// they answer. It only ever reads, and starts self-tests; it has no command that
// writes to the medium.
//
// Commands travel through three small interfaces, SCSI, ATA and NVMe, so that a
// machine recorded once can be replayed (see Recorder and Replay) and failing
// hardware can be made by editing bytes. All decoders accept any bytes without
// panicking and say what is missing.
package disk
