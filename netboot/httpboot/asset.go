package httpboot

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strconv"
	"strings"
)

// asset is a file to be served, with all that is said about it.
type asset struct {
	step string // of the boot trace, where the name does not say; empty: it does
	name string
	data []byte
	etag string
	kind string // media type
	path string // by content: "/boot/0123456789ab/vmlinuz"
}

func newAsset(name string, data []byte) *asset {
	sum := sha256.Sum256(data)
	id := hex.EncodeToString(sum[:])

	return &asset{name: name, data: data, etag: `"` + id[:32] + `"`, kind: mediaType(name), path: "/boot/" + id[:12] + "/" + name}
}

// mediaType follows UEFI 2.10 §24.7.3.1 for what firmware loads.
func mediaType(name string) string {
	switch path.Ext(name) {
	case ".efi":
		return "application/efi"
	case ".iso":
		return "application/vnd.efi-iso"
	case ".img":
		return "application/vnd.efi-img"
	case ".ipxe":
		return "text/plain"
	default:
		return "application/octet-stream"
	}
}

// Span is a part of a file: from Low up to, not including, High.
type Span struct{ Low, High int }

// RangeKind says what to do about a Range header.
type RangeKind int

// The kinds of Range header.
const (
	Whole        RangeKind = iota // none, several, or not understood: all of it (RFC 9110 §14.2)
	Part                          // 206
	Unsatisfying                  // 416
)

// ParseRange reads a Range header for a file of size bytes (RFC 9110 §14.1.2):
// "bytes=2-5", "bytes=2-", "bytes=-5".
func ParseRange(header string, size int) (Span, RangeKind) {
	spec, ok := strings.CutPrefix(strings.TrimSpace(header), "bytes=")
	if !ok || strings.Contains(spec, ",") {
		return Span{}, Whole
	}

	first, last, ok := strings.Cut(strings.TrimSpace(spec), "-")
	if !ok {
		return Span{}, Whole
	}

	if first == "" {
		return suffix(last, size)
	}

	low, err := strconv.ParseUint(first, 10, 63)
	if err != nil {
		return Span{}, Whole
	}

	high := uint64(size) //nolint:gosec // a length
	if last != "" {
		end, err := strconv.ParseUint(last, 10, 62)
		if err != nil || end < low {
			return Span{}, Whole
		}

		high = min(high, end+1)
	}

	if low >= uint64(size) { //nolint:gosec // a length
		return Span{}, Unsatisfying
	}

	return Span{int(low), int(high)}, Part //nolint:gosec // both at most size
}

func suffix(text string, size int) (Span, RangeKind) {
	n, err := strconv.ParseUint(text, 10, 63)

	switch {
	case err != nil:
		return Span{}, Whole
	case n == 0 || size == 0:
		return Span{}, Unsatisfying
	default:
		return Span{size - int(min(n, uint64(size))), size}, Part //nolint:gosec // at most size
	}
}
