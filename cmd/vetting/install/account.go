package install

import (
	"context"
	"os"
	"strconv"
	"strings"
)

// account makes the user that the appliance runs as, where there is none.
func (o *Options) account() []Step {
	if o.entry("/etc/passwd") != nil {
		return nil
	}

	return []Step{{"make the system user " + Account, func(ctx context.Context) error {
		if tool := find("systemd-sysusers"); tool != "" {
			return start(ctx, tool, "vetting.conf")
		}

		return start(ctx, find("useradd"), "--system", "--user-group", "--home-dir", "/var/lib/vetting", "--no-create-home",
			"--shell", "/usr/sbin/nologin", "--comment", "vetting appliance", Account)
	}}}
}

// group returns the number of the appliance's group.
func (o *Options) group() (int, bool) {
	entry := o.entry("/etc/group")
	if len(entry) < 3 {
		return 0, false
	}

	id, err := strconv.Atoi(entry[2])

	return id, err == nil
}

// entry returns the fields of the appliance's line in passwd(5) or group(5); nil
// where it has none.
func (o *Options) entry(file string) []string {
	text, err := os.ReadFile(o.at(file))
	if err != nil {
		return nil
	}

	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, Account+":") {
			return strings.Split(strings.TrimSpace(line), ":")
		}
	}

	return nil
}
