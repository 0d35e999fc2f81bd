// Package diskguard decides whether a disk may be overwritten. It is pure: who asks
// brings every fact, and gets every reason against it, so that a person sees at once
// all there is to put right.
//
// It is asked twice. MayOpen comes before a disk is opened for writing, and MayWrite
// once it is open, with what the open descriptor itself says of the disk. Whatever a
// fact leaves open counts against the disk: the zero Facts are refused by every gate
// that needs a yes.
//
// No gate here opens another: an override passes over what the probe for foreign data
// found, and over nothing else.
package diskguard
