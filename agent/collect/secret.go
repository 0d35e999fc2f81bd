package collect

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// vault holds what identifies a machine, and what stands in its place: the same
// secret always becomes the same stand-in, of the same length and the same kinds
// of characters, so that what belongs together still does and what is decoded
// still can be.
type vault struct {
	key   []byte
	pairs map[string]string // every way of writing a secret → the same way of writing its stand-in
}

// least is the length from which a text is replaced wherever it stands; a serial
// number of "1" stands everywhere.
const least = 5

func newVault(key []byte) *vault { return &vault{key: key, pairs: map[string]string{}} }

// text hides a serial number or an asset tag.
func (v *vault) text(secret string) {
	secret = strings.TrimSpace(secret)
	if len(secret) < least || strings.Trim(secret, secret[:1]) == "" {
		return
	}

	to := v.stand(secret, 0)
	v.add(secret, to)
	v.add(strings.ToLower(secret), strings.ToLower(to))
	v.add(strings.ToUpper(secret), strings.ToUpper(to))
	v.add(hex.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(to))) // as in nvme.144d-533447…
}

// bytes hides an address or an identifier of which the first keep hex digits,
// which name the maker, stay.
func (v *vault) bytes(secret []byte, keep int) {
	if len(secret) < least || len(bytes.Trim(secret, "\x00")) == 0 || len(bytes.Trim(secret, "\xff")) == 0 {
		return
	}

	from := hex.EncodeToString(secret)
	to := from[:keep] + v.stand(from[keep:], keep)

	raw, err := hex.DecodeString(to)
	if err != nil {
		return
	}

	v.add(string(secret), string(raw))
	v.add(from, to)
	v.add(strings.ToUpper(from), strings.ToUpper(to))
}

const makerMAC, makerNAA = 6, 7 // hex digits that name the maker

// mac hides a hardware address, in every way of writing one.
func (v *vault) mac(secret []byte) {
	const multicast = 1

	if len(secret) != 6 || secret[0]&multicast != 0 {
		return
	}

	v.bytes(secret, makerMAC)

	from := hex.EncodeToString(secret)

	to, ok := v.pairs[from]
	if !ok {
		return
	}

	for _, between := range []string{":", "-"} {
		v.add(grouped(from, between, 2), grouped(to, between, 2))
		v.add(strings.ToUpper(grouped(from, between, 2)), strings.ToUpper(grouped(to, between, 2)))
	}

	// The identifier of a card's InfiniBand port or an IPv6 address is made of it.
	v.add(grouped(from[:6]+"fffe"+from[6:], ":", 4), grouped(to[:6]+"fffe"+to[6:], ":", 4))
	v.add(grouped(from[:6]+"0300"+from[6:], ":", 4), grouped(to[:6]+"0300"+to[6:], ":", 4))
}

// wwn hides a world wide name: NAA, EUI-64 or NGUID.
func (v *vault) wwn(secret []byte) {
	switch {
	case len(secret) == 8 && secret[0]>>4 != 5, len(secret) == 16 && secret[0]>>4 != 6:
		v.bytes(secret, makerMAC)
	case len(secret) == 8, len(secret) == 16:
		v.bytes(secret, makerNAA)
	}
}

// uuid hides a UUID given as text, and as SMBIOS and others store it.
func (v *vault) uuid(secret string) {
	secret = strings.ToLower(secret)

	raw, err := hex.DecodeString(strings.ReplaceAll(secret, "-", ""))
	if err != nil || len(raw) != 16 || len(bytes.Trim(raw, "\x00")) == 0 {
		return
	}

	to := v.stand(secret, 0)

	stand, err := hex.DecodeString(strings.ReplaceAll(to, "-", ""))
	if err != nil {
		return
	}

	v.add(secret, to)
	v.add(strings.ToUpper(secret), strings.ToUpper(to))
	v.add(hex.EncodeToString(raw), hex.EncodeToString(stand))
	v.add(string(raw), string(stand))
	v.add(string(mixed(raw)), string(mixed(stand)))
}

// mixed turns the first three fields of a UUID round, as Windows and SMBIOS have
// them.
func mixed(uuid []byte) []byte {
	turned := slices.Clone(uuid)
	slices.Reverse(turned[0:4])
	slices.Reverse(turned[4:6])
	slices.Reverse(turned[6:8])

	return turned
}

func grouped(digits, between string, size int) string {
	var groups []string
	for i := 0; i < len(digits); i += size {
		groups = append(groups, digits[i:min(i+size, len(digits))])
	}

	return strings.Join(groups, between)
}

func (v *vault) add(from, to string) {
	if _, known := v.pairs[from]; !known && from != "" {
		v.pairs[from] = to
	}
}

// stand makes the stand-in for a text, character by character out of a keyed hash.
// Digits stay digits, letters letters of their case (hex digits hex digits, where
// the text has no others), and the rest as it is. salt keeps apart what is cut
// from longer texts.
func (v *vault) stand(secret string, salt int) string {
	sum := hmac.New(sha256.New, v.key)
	sum.Write([]byte{byte(salt)})
	sum.Write([]byte(strings.ToLower(secret)))
	noise := sum.Sum(nil)

	letters := 26
	if strings.Trim(strings.ToLower(secret), "0123456789abcdef-:.") == "" {
		letters = 6
	}

	out := []byte(secret)

	for i, c := range out {
		n := int(noise[i%len(noise)]) + i/len(noise)

		switch {
		case c >= '0' && c <= '9':
			out[i] = '0' + byte(n%10)
		case c >= 'a' && c <= 'z':
			out[i] = 'a' + byte(n%letters)
		case c >= 'A' && c <= 'Z':
			out[i] = 'A' + byte(n%letters)
		}
	}

	return string(out)
}

// replacer replaces every secret, the longest first.
func (v *vault) replacer() *strings.Replacer {
	from := make([]string, 0, len(v.pairs))
	for secret := range v.pairs {
		from = append(from, secret)
	}

	slices.SortFunc(from, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}

		return strings.Compare(a, b)
	})

	words := make([]string, 0, 2*len(from))
	for _, secret := range from {
		words = append(words, secret, v.pairs[secret])
	}

	return strings.NewReplacer(words...)
}
