package gate

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Program is the agent for installed machines as an appliance carries it: packed
// with gzip, which many machines may have unpacked for them at once, at some tens of KB each.
// It is safe for concurrent use.
type Program struct {
	packed []byte
	size   int64  // unpacked
	digest string // SHA-256 of the unpacked program, hex
}

// NewProgram unpacks a program once, to know its size and digest. The bytes must
// not change afterwards.
func NewProgram(packed []byte) (*Program, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpacking the agent for installed hosts: %w", err)
	}

	sum := sha256.New()

	size, err := io.Copy(sum, r) //nolint:gosec // our own program, from our own file
	if err != nil {
		return nil, fmt.Errorf("unpacking the agent for installed hosts: %w", err)
	}

	return &Program{packed: packed, size: size, digest: hex.EncodeToString(sum.Sum(nil))}, nil
}

// Digest is the SHA-256 of the unpacked program in hex, as the installer wants it;
// empty for none.
func (p *Program) Digest() string {
	if p == nil {
		return ""
	}

	return p.digest
}

// serve answers with the unpacked program. It knows no ranges: for each the program
// would have to be unpacked from its beginning, and a request may list thousands.
func (p *Program) serve(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Accept-Ranges", "none")

	if seen := r.Header.Get("If-None-Match"); seen == "*" || strings.Contains(seen, h.Get("ETag")) {
		h.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)

		return nil
	}

	h.Set("Content-Length", strconv.FormatInt(p.size, 10))

	if r.Method == http.MethodHead {
		return nil
	}

	unpacked, err := gzip.NewReader(bytes.NewReader(p.packed))
	if err != nil {
		return fmt.Errorf("unpacking the agent for installed hosts: %w", err)
	}

	if _, err := io.Copy(w, unpacked); err != nil { //nolint:gosec // as above
		return fmt.Errorf("sending the agent for installed hosts: %w", err)
	}

	return nil
}
