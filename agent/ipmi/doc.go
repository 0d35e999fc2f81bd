// Package ipmi speaks with the machine's own management controller (BMC) through
// the kernel's driver, in raw requests and answers (IPMI 2.0). It only asks; it
// has no request that changes a setting.
//
// Requests travel through the small interface BMC, so that a machine recorded
// once can be replayed (see Recorder and Replay). All decoders accept any bytes
// without panicking and say what is missing.
package ipmi
