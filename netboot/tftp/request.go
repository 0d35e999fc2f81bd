package tftp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Opcodes (RFC 1350 §5, RFC 2347).
const (
	opRead  = 1
	opWrite = 2
	opData  = 3
	opAck   = 4
	opError = 5
	opOAck  = 6
)

// Error codes (RFC 1350 appendix, RFC 2347).
const (
	errUndefined = 0
	errNotFound  = 1
	errAccess    = 2
	errFull      = 3
	errIllegal   = 4
	errAborted   = 8 // EDK2 after it has learned the size
)

const (
	plainBlock = 512
	maxName    = 255
	maxWindow  = 64
)

// Request is a read request as understood.
type Request struct {
	Name    string // canonical: no leading slash, forward slashes, nothing unprintable at the end
	Text    bool   // netascii
	Options []Option
}

// Option is an option as sent; Name keeps the sender's case, which it may expect back.
type Option struct {
	Name  string
	Value string
}

// What is wrong with a request.
var (
	errNotRead   = errors.New("not a read request")
	errMalformed = errors.New("malformed read request")
	errMode      = errors.New("unknown transfer mode")
)

// ParseRequest reads an RRQ. It forgives a missing NUL at the end of the packet
// and options without value.
func ParseRequest(b []byte) (Request, error) {
	if len(b) < 2 || binary.BigEndian.Uint16(b) != opRead {
		return Request{}, errNotRead
	}

	fields := bytes.Split(b[2:], []byte{0})
	if len(fields) < 2 || len(fields[0]) > maxName {
		return Request{}, errMalformed
	}

	r := Request{Name: canonical(string(fields[0]))}

	switch strings.ToLower(string(fields[1])) {
	case "octet":
	case "netascii":
		r.Text = true
	default:
		return Request{}, errMode
	}

	for f := fields[2:]; len(f) >= 2 && len(f[0]) > 0; f = f[2:] {
		r.Options = append(r.Options, Option{Name: string(f[0]), Value: string(f[1])})
	}

	return r, nil
}

// sizes reports whether the client names a block size.
func (r *Request) sizes() bool {
	return slices.ContainsFunc(r.Options, func(o Option) bool { return strings.EqualFold(o.Name, "blksize") })
}

// canonical turns a file name as ROMs write it into ours: old ROMs append what
// follows a DHCP option (0xff), others write backslashes, drives, or slashes twice.
func canonical(name string) string {
	name = strings.TrimRightFunc(name, func(r rune) bool { return r <= ' ' || r > '~' })
	name = strings.ReplaceAll(name, `\`, "/")

	if len(name) >= 2 && name[1] == ':' {
		name = name[2:]
	}

	return strings.TrimPrefix(path.Clean("/"+name), "/")
}

// terms are what a transfer is done by.
type terms struct {
	block  int
	window int
	accept []Option // the options as acknowledged; empty: none, no OACK
}

// agree picks what we accept of the options. Only options that were asked are
// answered: an extra one makes EFI clients give up.
func agree(options []Option, size, maxBlock int) terms {
	t := terms{block: plainBlock, window: 1}

	for _, o := range options {
		n, err := strconv.Atoi(o.Value)
		if err != nil || n < 0 {
			continue
		}

		switch strings.ToLower(o.Name) {
		case "blksize":
			if n >= 8 && n <= 65464 { // RFC 2348
				t.block = min(n, maxBlock)
				t.accept = append(t.accept, Option{o.Name, strconv.Itoa(t.block)})
			}
		case "tsize":
			t.accept = append(t.accept, Option{o.Name, strconv.Itoa(size)})
		case "windowsize":
			if n >= 1 && n <= 65535 { // RFC 7440
				t.window = min(n, maxWindow)
				t.accept = append(t.accept, Option{o.Name, strconv.Itoa(t.window)})
			}
		}
	}

	return t
}

// oack writes an option acknowledgement.
func oack(options []Option) []byte {
	b := []byte{0, opOAck}
	for _, o := range options {
		b = append(append(b, o.Name...), 0)
		b = append(append(b, o.Value...), 0)
	}

	return b
}

// refusal writes an ERROR packet.
func refusal(code uint16, text string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0, opError}, code)

	return append(append(b, text...), 0)
}
