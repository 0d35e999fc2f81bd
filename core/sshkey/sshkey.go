// Package sshkey writes and reads Ed25519 keys as OpenSSH does: public keys as
// lines of authorized_keys (RFC 4253 section 6.6, RFC 8709), private ones in the
// format of PROTOCOL.key of OpenSSH, unencrypted.
package sshkey

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// algorithm is the only one: it needs no parameters and no randomness to sign.
const algorithm = "ssh-ed25519"

// maxLine bounds a line that is read.
const maxLine = 1024

// errNotEd25519 tells of a line that is something else.
var errNotEd25519 = errors.New("it is not an ssh-ed25519 key on one line")

// Line writes a public key as authorized_keys and known_hosts have it. The
// comment may be empty and must be one word.
func Line(public ed25519.PublicKey, comment string) string {
	line := algorithm + " " + base64.StdEncoding.EncodeToString(wireForm(public))
	if comment != "" {
		line += " " + comment
	}

	return line
}

// Parse reads a line that Line could have written; whatever stands behind the
// key is passed over.
func Parse(line string) (ed25519.PublicKey, error) {
	words := strings.Fields(line)
	if len(line) > maxLine || strings.ContainsAny(line, "\r\n") || len(words) < 2 || words[0] != algorithm {
		return nil, fmt.Errorf("reading an SSH key: %w", errNotEd25519)
	}

	blob, err := base64.StdEncoding.DecodeString(words[1])
	if err != nil {
		return nil, fmt.Errorf("reading an SSH key: %w", errNotEd25519)
	}

	name, rest, ok := cut(blob)
	if !ok || string(name) != algorithm {
		return nil, fmt.Errorf("reading an SSH key: %w", errNotEd25519)
	}

	key, rest, ok := cut(rest)
	if !ok || len(key) != ed25519.PublicKeySize || len(rest) != 0 {
		return nil, fmt.Errorf("reading an SSH key: %w", errNotEd25519)
	}

	return ed25519.PublicKey(key), nil
}

// cut takes a string of SSH's wire format off the front.
func cut(b []byte) (s, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}

	n := uint64(binary.BigEndian.Uint32(b))
	if n > uint64(len(b)-4) {
		return nil, nil, false
	}

	return b[4 : 4+n], b[4+n:], true
}

func wireForm(public ed25519.PublicKey) []byte {
	return put(put(nil, []byte(algorithm)), public)
}

func put(b, s []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...) // #nosec G115 -- strings of ours are short
}

// Private writes a private key as a file that ssh -i takes. check is any number;
// OpenSSH compares its two copies to see whether a decryption went well.
func Private(key ed25519.PrivateKey, comment string, check uint32) string {
	public, _ := key.Public().(ed25519.PublicKey)

	secret := binary.BigEndian.AppendUint32(nil, check)
	secret = binary.BigEndian.AppendUint32(secret, check)
	secret = put(put(put(put(secret, []byte(algorithm)), public), key), []byte(comment))

	for pad := byte(1); len(secret)%8 != 0; pad++ {
		secret = append(secret, pad)
	}

	file := put(put(put([]byte("openssh-key-v1\x00"), []byte("none")), []byte("none")), nil)
	file = binary.BigEndian.AppendUint32(file, 1)
	file = put(put(file, wireForm(public)), secret)

	return string(pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: file}))
}
