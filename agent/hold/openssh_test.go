package hold_test

import (
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"vetting/agent/hold"
)

// openssh returns a function that runs the stock client against a hold, and the
// hold. The host key is pinned by the line that the appliance shows.
func openssh(t *testing.T, change ...func(*hold.Config)) (*rig, func(args ...string) *exec.Cmd) {
	t.Helper()

	program, err := exec.LookPath("ssh")
	if err != nil {
		t.Skip("the OpenSSH client is not installed")
	}

	signer, private := newKey(t)
	r := upFor(t, signer, change...)
	dir := t.TempDir()

	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}

	host, port, _ := net.SplitHostPort(r.addr)
	keyFile, known := filepath.Join(dir, "key"), filepath.Join(dir, "known_hosts")

	for file, content := range map[string]string{
		keyFile: string(pem.EncodeToMemory(block)), known: "[" + host + "]:" + port + " " + r.server.HostKey() + "\n",
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	return r, func(args ...string) *exec.Cmd {
		base := []string{
			"-F", "none", "-i", keyFile, "-p", port, "-o", "UserKnownHostsFile=" + known, "-o", "StrictHostKeyChecking=yes",
			"-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "IdentityAgent=none",
		}
		cmd := exec.CommandContext(t.Context(), program, append(base, args...)...)
		cmd.Env = append(os.Environ(), "LC_ALL=C")

		return cmd
	}
}

func TestTheStockClientRunsACommand(t *testing.T) {
	_, client := openssh(t)

	cmd := client("root@127.0.0.1", "cat; echo $LC_ALL; exit 5")
	cmd.Stdin = strings.NewReader("piped\n")

	out, _ := cmd.Output()
	if cmd.ProcessState.ExitCode() != 5 || !strings.HasPrefix(string(out), "piped\n") {
		t.Errorf("exit code %d, output %q", cmd.ProcessState.ExitCode(), out)
	}
}

func TestTheStockClientOpensAShellOnATerminal(t *testing.T) {
	_, client := openssh(t)

	cmd := client("-tt", "root@127.0.0.1")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()

	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	expect(t, out, "held> ")
	write(t, in, "test -t 0 && echo on a $((40+2)) terminal\n")
	expect(t, out, "on a 42 terminal\r\n")
	write(t, in, "exit 9\n")

	if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 9 {
		t.Errorf("exit code %d", cmd.ProcessState.ExitCode())
	}
}

func TestTheStockClientIsRefused(t *testing.T) {
	tests := map[string]struct {
		args []string
		say  string
	}{
		"with another key":        {[]string{"-i", "OTHER", "root@127.0.0.1", "true"}, "Permission denied (publickey)"},
		"with a password":         {[]string{"-o", "PreferredAuthentications=password", "root@127.0.0.1", "true"}, "Permission denied (publickey)"},
		"when it forwards from":   {[]string{"-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1", "root@127.0.0.1", "true"}, "remote port forwarding failed"},
		"when it forwards to":     {[]string{"-W", "127.0.0.1:1", "root@127.0.0.1"}, "administratively prohibited"},
		"when it asks for a file": {[]string{"-s", "root@127.0.0.1", "sftp"}, "subsystem request failed"},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, client := openssh(t)
			cmd := client(test.args...)

			if test.args[0] == "-i" {
				_, private := newKey(t)

				block, err := ssh.MarshalPrivateKey(private, "")
				if err != nil {
					t.Fatal(err)
				}

				other := filepath.Join(t.TempDir(), "other")
				if err := os.WriteFile(other, pem.EncodeToMemory(block), 0o600); err != nil {
					t.Fatal(err)
				}

				cmd.Args[4] = other // in the place of the right one
				cmd.Args = append(cmd.Args[:len(cmd.Args)-4], "root@127.0.0.1", "true")
			}

			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), test.say) {
				t.Errorf("%v, said %q; want %q", err, out, test.say)
			}
		})
	}
}

func TestTheStockClientIsShownOutWhenTheHoldEnds(t *testing.T) {
	r, client := openssh(t)

	cmd := client("-tt", "root@127.0.0.1")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()

	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	write(t, in, "echo $((40+2))\n")
	expect(t, out, "42\r\n")

	if err := r.end(); err != nil {
		t.Fatal(err)
	}

	if err := cmd.Wait(); err == nil {
		t.Error("the client ended as if nothing had happened")
	}
}
