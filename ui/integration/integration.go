// Package integration holds what other programs are given to work with the appliance: a
// dashboard for Grafana, alerting rules for Prometheus, a playbook of Ansible, and what web
// servers in front of the console are told.
package integration

import _ "embed" // the files

// Dashboard is a dashboard for Grafana, to be imported there.
//
//go:embed dashboard.json
var Dashboard string

// Rules are alerting rules for Prometheus.
//
//go:embed rules.yaml
var Rules string

// Playbook vets hosts with Ansible, whose inventory the appliance is.
//
//go:embed ansible.yaml
var Playbook string

// Nginx is what nginx is told where it stands in front of the console.
//
//go:embed nginx.conf
var Nginx string

// Caddy is what Caddy is told there.
//
//go:embed Caddyfile
var Caddy string
