//go:build e2e && linux

package main_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// debian is a machine with systemd, in namespaces of its own; see testdata/machine.sh.
type debian struct {
	t     *testing.T
	share string // seen there as /tmp/share
	pid   int    // of its systemd
}

// bootDebian starts one. It ends with the test.
func bootDebian(t *testing.T) *debian {
	t.Helper()

	for _, program := range []string{"/lib/systemd/systemd", "/usr/bin/dpkg", "/usr/bin/nsenter"} {
		if _, err := os.Stat(program); err != nil {
			t.Skip(program + " is not installed")
		}
	}

	if os.Geteuid() != 0 {
		t.Skip("needs root, for namespaces")
	}

	// The folders are not below one that only root may enter: the appliance is nobody's.
	share := t.TempDir()
	work := t.TempDir()
	said := &bytes.Buffer{}

	machine := exec.Command("/bin/sh", "testdata/machine.sh", work, share)
	machine.Stdout, machine.Stderr = said, said
	machine.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
	}

	if err := machine.Start(); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		_ = machine.Process.Kill() // with it end all processes of its namespace
		_ = machine.Wait()

		// The groups of its processes are the kernel's, and would stay.
		clean := exec.Command("unshare", "--mount", "sh", "-c",
			"mount -t cgroup2 cgroup2 /mnt && find /mnt/vetting-machine -depth -type d -exec rmdir {} ';'")
		if out, err := clean.CombinedOutput(); err != nil {
			t.Logf("control groups are left: %v %s", err, out)
		}

		if t.Failed() {
			t.Logf("the machine said: %s", said)
		}
	})

	d := &debian{t: t, share: share, pid: machine.Process.Pid}
	d.await("systemctl is-system-running | grep -E 'running|degraded'")

	return d
}

// await runs a line of shell until it succeeds.
func (d *debian) await(line string) {
	d.t.Helper()

	last := ""

	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		out, err := d.try(line)
		if err == nil {
			return
		}

		last = out
	}

	d.t.Fatalf("%s never succeeded: %s", line, last)
}

func (d *debian) try(line string) (string, error) {
	out, err := exec.CommandContext(d.t.Context(), "nsenter", "-t", strconv.Itoa(d.pid), "-m", "-p", "-n", "-i", "-u", "-C", "sh", "-c", line).CombinedOutput()

	return string(out), err
}

// sh runs a line of shell on the machine, as root, and returns what it said.
func (d *debian) sh(line string) string {
	d.t.Helper()

	out, err := d.try(line)
	if err != nil {
		journal, _ := d.try("journalctl --no-pager -u vetting | tail -n 40")
		d.t.Fatalf("%s: %v\n%s\n%s", line, err, out, journal)
	}

	return out
}

// A Debian machine that has never seen us serves a NIC after three commands: as a user
// of its own with three rights, in a sandbox that nothing gets out of. An upgrade
// keeps what it knows, and so does a removal.
func TestTheThreeCommands(t *testing.T) {
	binary, err := filepath.Abs("../../build/vetting")
	if err != nil {
		t.Fatal(err)
	}

	if _, err := os.Stat(binary); err != nil {
		t.Skip("build/vetting was not built")
	}

	d := bootDebian(t)

	pack := exec.CommandContext(t.Context(), "go", "run", "./cmd/vetting-package", "-program", binary, "-out", d.share)
	pack.Dir = "../.."

	if out, err := pack.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}

	d.sh("ip link set lo up && ip netns add host && ip link add eth1 type veth peer name eth0 netns host && ip link set eth1 up && ip -n host link set eth0 up")

	// These are the three.
	d.sh("dpkg -i /tmp/share/vetting_*.deb")
	said := d.sh("vetting install --interface eth1")
	link := d.sh("vetting admin link")

	if !strings.Contains(said, "set the admin password here (once, 30 min): https://127.0.0.1:8443/setup?token=") || !strings.HasPrefix(link, "https://127.0.0.1:8443/setup?token=") {
		t.Errorf("installed: %s\nlink: %s", said, link)
	}

	d.await("systemctl show -p StatusText vetting | grep 'serving 10.77.0.0/24 on eth1'")

	status := d.sh("cat /proc/$(systemctl show -p MainPID --value vetting)/status")
	for _, want := range []string{`CapEff:\s0000000000003400`, `CapBnd:\s0000000000003400`, `NoNewPrivs:\s1`, `Seccomp:\s2`} {
		if !regexp.MustCompile(want).MatchString(status) {
			t.Errorf("no %s in\n%s", want, status)
		}
	}

	if got := d.sh("find /var/lib/vetting ! -user vetting"); got != "" {
		t.Errorf("not the appliance's own: %s", got)
	}

	// A machine that is registered gets an address; a stranger does not.
	ask := "ip netns exec host busybox udhcpc -f -q -n -t 3 -T 1 -s /bin/true -i eth0"
	if out, err := d.try(ask); err == nil {
		t.Errorf("a stranger got an address: %s", out)
	}

	d.sh("export VETTING_TOKEN=$(vetting token create --scope operate) && vetting host add $(ip netns exec host cat /sys/class/net/eth0/address) rack1")

	if got := d.sh(ask); !strings.Contains(got, "lease of 10.77.0.") {
		t.Errorf("the host was told: %s", got)
	}

	// What the boot services give is fetched from them, on the machine that they run on.
	said, _ = d.try("vetting doctor -o csv")
	for _, want := range []string{"own files by HTTP,ok,", "own files by TFTP,ok,"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}

	said, _ = d.try("ip link set lo down; vetting doctor -o csv; ip link set lo up")
	for _, want := range []string{"own files by HTTP,fail,", "own files by TFTP,fail,", "nobody answers in time"} {
		if !strings.Contains(said, want) {
			t.Errorf("without lo: no %q in\n%s", want, said)
		}
	}

	d.sh("systemctl reload vetting")
	d.sh("dpkg -i /tmp/share/vetting_*.deb")
	d.await("systemctl is-active vetting")

	if got := d.sh("export VETTING_TOKEN=$(vetting token create) && vetting host list -o csv"); !strings.Contains(got, "rack1") {
		t.Errorf("after an upgrade: %s", got)
	}

	if warned := d.sh("journalctl --no-pager -u vetting -p warning"); strings.Contains(warned, "denied") || strings.Contains(warned, "not permitted") {
		t.Errorf("the sandbox is in the way: %s", warned)
	}

	// A backup while it runs, one while it does not, and the second in the place of the data.
	d.sh("vetting backup create /root/one.backup --with-keys && systemctl stop vetting && vetting backup create /root/two.backup --with-keys")
	d.sh("mv /var/lib/vetting /root/away && vetting backup restore /root/two.backup && systemctl start vetting")

	if got := d.sh("export VETTING_TOKEN=$(vetting token create) && vetting host list -o csv && cmp /root/away/gate.key /var/lib/vetting/gate.key"); !strings.Contains(got, "rack1") {
		t.Errorf("after a restore: %s", got)
	}

	if got := d.sh("find /var/lib/vetting ! -user vetting"); got != "" {
		t.Errorf("after a restore not the appliance's own: %s", got)
	}

	d.sh("dpkg -r vetting")

	if got := d.sh("ls /var/lib/vetting /etc/vetting"); !strings.Contains(got, "store") || !strings.Contains(got, "vetting.yaml") {
		t.Errorf("after its removal: %s", got)
	}
}

// What starts anew, by itself or because nothing was heard of it, goes on with its runs and
// is watched as before; a program that installs itself does as well as a package.
func TestTheServiceIsWatchedOverRestarts(t *testing.T) {
	binary, err := filepath.Abs("../../build/vetting")
	if err != nil {
		t.Fatal(err)
	}

	if _, err := os.Stat(binary); err != nil {
		t.Skip("build/vetting was not built")
	}

	d := bootDebian(t)

	if out, err := exec.CommandContext(t.Context(), "cp", binary, "testdata/restart.sh", d.share).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}

	d.sh("ip link set lo up && ip link add eth1 type veth peer name eth0 && ip link set eth1 up && ip link set eth0 up")
	d.sh("mkdir -p /etc/systemd/system/vetting.service.d && printf '[Service]\\nWatchdogSec=20s\\n' >/etc/systemd/system/vetting.service.d/test.conf")
	d.sh("/tmp/share/vetting install --interface eth1")

	const serves = "systemctl show -p StatusText vetting | grep 'serving 10.77.0.0/24 on eth1'"

	d.await(serves)
	d.sh("export VETTING_TOKEN=$(vetting token create --scope operate) && vetting host add 52:54:00:00:00:07 rack1 && vetting run start rack1 --profile quick")

	goesOn := func(after string) {
		t.Helper()
		d.await(serves)

		if got := d.sh("export VETTING_TOKEN=$(vetting token create) && vetting run list -o csv"); !strings.Contains(got, "rack1") || strings.Contains(got, "cancelled") {
			t.Errorf("after %s: %s", after, got)
		}
	}

	// Started anew from the console: the same process, and no end that systemd heard of.
	if got := d.sh("sh /tmp/share/restart.sh"); !strings.Contains(got, "same process, started anew") {
		t.Errorf("a restart from the console: %s", got)
	}

	goesOn("a restart from the console")

	if got := d.sh("systemctl show -p NRestarts --value vetting"); strings.TrimSpace(got) != "0" {
		t.Errorf("systemd has started it anew: %s", got)
	}

	// Then it stands still.
	d.sh("kill -STOP $(systemctl show -p MainPID --value vetting)")
	d.await("systemctl show -p NRestarts --value vetting | grep -x 1")

	if got := d.sh("journalctl --no-pager -u vetting"); !strings.Contains(got, "Watchdog timeout") {
		t.Errorf("why was it started anew: %s", got)
	}

	goesOn("a standstill")

	// And an orderly end in the midst of a run.
	d.sh("systemctl restart vetting")
	goesOn("an orderly end")

	if got := d.sh("vetting uninstall && ls /var/lib/vetting"); !strings.Contains(got, "store") {
		t.Errorf("after its removal: %s", got)
	}
}
