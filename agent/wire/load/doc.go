// Package load is what a machine and the appliance's throughput partner say to each
// other to measure a network port: frames of noise with their numbers and checksums,
// and the few lines of JSON around them. Both ends use it; it opens no connection.
//
// A connection goes so. The machine sends Greeting. The partner answers a [Challenge],
// the machine an [Ask] that proves by the key of its ticket that it may, the partner a
// [Start]; each is a line of JSON, [MaxLine] bytes at most. Of a stream of TCP, frames
// follow in the direction asked for, each [FrameSize] bytes, the last of them of the
// kind [End]; the partner's [Report] is in its own last frame, which it sends whichever
// way the stream went. Datagrams go from and to a UDP port of the partner's, each a
// frame by itself; the connection stays open meanwhile, the machine ends it with a
// [Finish], and the partner answers its [Report] as a line.
package load
