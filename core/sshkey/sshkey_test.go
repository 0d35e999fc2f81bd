package sshkey_test

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"vetting/core"
	"vetting/core/sshkey"
)

func key(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

// The judge is the library that the agent's SSH server is built on.
func TestKeysAreReadByAnSSHLibrary(t *testing.T) {
	for n := range byte(16) {
		private := key(n)
		public := private.Public().(ed25519.PublicKey)
		comment := "vetting-" + strings.Repeat("x", int(n)) // every length of padding

		parsed, got, _, _, err := ssh.ParseAuthorizedKey([]byte(sshkey.Line(public, comment)))
		if err != nil || got != comment || ssh.FingerprintSHA256(parsed) != core.KeyFingerprint(public) {
			t.Fatalf("%v %q %s", err, got, core.KeyFingerprint(public))
		}

		signer, err := ssh.ParsePrivateKey([]byte(sshkey.Private(private, comment, 0x01020304)))
		if err != nil || !bytes.Equal(signer.PublicKey().Marshal(), parsed.Marshal()) {
			t.Fatalf("comment of %d: %v", len(comment), err)
		}

		back, err := sshkey.Parse(sshkey.Line(public, ""))
		if err != nil || !back.Equal(public) {
			t.Fatalf("%v", err)
		}
	}
}

func TestOtherLinesAreRefused(t *testing.T) {
	good := sshkey.Line(key(1).Public().(ed25519.PublicKey), "")

	for name, line := range map[string]string{
		"nothing":             "",
		"one word":            "ssh-ed25519",
		"another algorithm":   "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ==",
		"another name inside": strings.Replace(good, "AAAAC3NzaC1lZDI1NTE5", "AAAAC3NzaC1lZDI1NTE4", 1),
		"not base64":          "ssh-ed25519 §§§",
		"cut short":           good[:len(good)-8],
		"more behind":         good + "AAAA",
		"two lines":           good + "\nssh-ed25519 AAAA",
		"a very long one":     good + " " + strings.Repeat("x", 1024),
		"options before":      `command="sh" ` + good,
	} {
		if _, err := sshkey.Parse(line); err == nil {
			t.Errorf("%s: was read", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sshkey.Line(key(1).Public().(ed25519.PublicKey), "x"))
	f.Add("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5/////w==")

	f.Fuzz(func(t *testing.T, line string) {
		public, err := sshkey.Parse(line)
		if err != nil {
			return
		}

		if again, err := sshkey.Parse(sshkey.Line(public, "")); err != nil || !again.Equal(public) {
			t.Errorf("%q is read once only: %v", line, err)
		}
	})
}
