//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Dnsmasq starts a dnsmasq at the station with the given options and none of
// its own but those that keep it in the foreground, silent about DNS, and away
// from the machine's files. It has ended when Stop returns.
func (s *Station) Dnsmasq(ctx context.Context, cpus []int, options ...string) (*Process, error) {
	args := append([]string{
		"--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--port=0", "--log-facility=-",
		"--interface=" + NIC, "--bind-interfaces", "--dhcp-authoritative",
	}, options...)

	process, err := s.Start(ctx, Command{Program: "dnsmasq", Args: args, CPUs: cpus})
	if err != nil {
		return nil, errors.Join(err, errors.New("apt-get install dnsmasq-base"))
	}

	if _, err := process.Output.Await(ctx, "started, version"); err != nil {
		return nil, fmt.Errorf("starting dnsmasq: %w", err)
	}

	return process, nil
}

// Nginx starts an nginx at the station that serves root on listen with sendfile,
// as one tunes it for large files.
func (s *Station) Nginx(ctx context.Context, dir, root, listen string, cpus []int) (*Process, error) {
	config := fmt.Sprintf(`daemon off;
user root;
worker_processes 2;
pid %[1]s/nginx.pid;
error_log stderr notice;
events { worker_connections 1024; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	keepalive_requests 1000000;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server { listen %[2]s; root %[3]s; }
}
`, dir, listen, root)

	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, fmt.Errorf("writing nginx's configuration: %w", err)
	}

	process, err := s.Start(ctx, Command{Program: "nginx", Args: []string{"-p", dir, "-c", path, "-e", "stderr"}, CPUs: cpus})
	if err != nil {
		return nil, errors.Join(err, errors.New("apt-get install nginx-light"))
	}

	if _, err := process.Output.Await(ctx, "start worker process "); err != nil {
		return nil, fmt.Errorf("starting nginx: %w", err)
	}

	return process, nil
}

// Kea starts ISC's DHCP server at the station, for one subnet and one pool ("first - last"),
// with its leases in a file of dir.
func (s *Station) Kea(ctx context.Context, dir, subnet, pool string, cpus []int) (*Process, error) {
	config := fmt.Sprintf(`{"Dhcp4": {
	"interfaces-config": {"interfaces": [%[1]q], "dhcp-socket-type": "raw"},
	"lease-database": {"type": "memfile", "persist": true, "name": "%[2]s/kea.leases", "lfc-interval": 0},
	"valid-lifetime": 43200, "authoritative": true, "next-server": "10.77.0.1", "boot-file-name": "undionly.kpxe",
	"multi-threading": {"enable-multi-threading": true, "thread-pool-size": 2, "packet-queue-size": 64},
	"subnet4": [{"id": 1, "subnet": %[3]q, "interface": %[1]q, "pools": [{"pool": %[4]q}]}],
	"loggers": [{"name": "kea-dhcp4", "severity": "INFO", "output_options": [{"output": "stdout"}]}]
}}
`, NIC, dir, subnet, pool)

	path := filepath.Join(dir, "kea.json")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, fmt.Errorf("writing kea's configuration: %w", err)
	}

	process, err := s.Start(ctx, Command{
		Program: "kea-dhcp4", Args: []string{"-c", path}, CPUs: cpus,
		Env: []string{"KEA_PIDFILE_DIR=" + dir, "KEA_LOCKFILE_DIR=" + dir, "KEA_LOGGER_DESTINATION=stdout"},
	})
	if err != nil {
		return nil, errors.Join(err, errors.New("apt-get install kea-dhcp4-server"))
	}

	if _, err := process.Output.Await(ctx, "DHCP4_STARTED"); err != nil {
		return nil, fmt.Errorf("starting kea: %w", err)
	}

	return process, nil
}
