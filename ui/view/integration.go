package view

// prometheus is what its configuration is given.
func (i *Integrations) prometheus() string {
	const trust = `    tls_config: {ca_file: /etc/prometheus/vetting-ca.crt}
    authorization: {credentials_file: /etc/prometheus/vetting-token}
`

	return `scrape_configs:
  - job_name: vetting
    scheme: ` + i.Scheme + `
    static_configs: [{targets: ["` + i.Host + `"]}]
` + trust + `  - job_name: vetted-hosts
    http_sd_configs:
      - url: ` + i.base() + `/api/v1/sd/prometheus?port=9100
        tls_config: {ca_file: /etc/prometheus/vetting-ca.crt}
        authorization: {credentials_file: /etc/prometheus/vetting-token}
`
}

// verifying is a receiver's check of a webhook, in Python.
const verifying = `import base64, hashlib, hmac, time

def verify(secret, headers, body):                # body: the bytes as they came
    id, at = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(time.time() - int(at)) > 300: return False
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    mac = hmac.new(key, f"{id}.{at}.".encode() + body, hashlib.sha256).digest()
    want = "v1," + base64.b64encode(mac).decode()
    return any(hmac.compare_digest(want, one) for one in headers["webhook-signature"].split())`
