package partner

// What reads foreign bytes, for the fuzz test.
var ReadIperfJSON = readIperfJSON

// IperfMaxPlaces is how many streams of iperf3 there may be.
const IperfMaxPlaces = iperfMaxPlaces

// IperfAccepts reports whether parameters are accepted, and how many streams and bytes
// a block they ask for then.
func IperfAccepts(raw []byte) (ok bool, streams, block int) {
	p, err := parseIperfParams(raw)

	return err == nil && p.lasts() > 0, p.Parallel, p.Length
}
