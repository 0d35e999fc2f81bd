// Package screen is the machine's own screen: what a person sees who stands in front of
// it with a monitor or a serial line and nothing else. The upper rows say which machine it
// is, what is tested, how long it takes and what came of it, in letters that are read from
// across the room, with a QR code that leads to the run's page; what the machine logs
// scrolls in the rows below.
package screen
