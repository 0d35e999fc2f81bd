package partner

// What reads foreign bytes, for the fuzz test.
var ReadIperfJSON = readIperfJSON

// IperfAccepts reports whether parameters are accepted, and how many streams and bytes
// a block they ask for then.
func IperfAccepts(raw []byte) (ok bool, streams, block int) {
	p, err := parseIperfParams(raw)

	return err == nil && p.lasts() > 0, p.Parallel, p.Length
}
