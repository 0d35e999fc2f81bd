package httpboot_test

import "testing"

// Each of these holds what netboot/quirk says under its ID.

// The requests are OVMF's as recorded, which asks with the words of UefiHttpBoot.
func TestQuirkQ14TheConnectionOfUEFIHTTPBootStaysOpen(t *testing.T) {
	w := serve(t)
	conn := w.dial(vetted)

	for _, c := range []struct {
		method, request string
		status          int
	}{
		{"HEAD", recorded(t)["ovmf-http-head-1"], 200},
		{"GET", recorded(t)["ovmf-http-get-1"], 200},
		{"HEAD", "HEAD /boot/no-boot HTTP/1.1\r\nHost: 10.77.0.1\r\nAccept: */*\r\nUser-Agent: UefiHttpBoot/1.0\r\n\r\n", 404},
		{"GET", "GET //boot/snponly.efi HTTP/1.1\r\nHost: 10.77.0.1\r\nAccept: */*\r\nUser-Agent: UefiHttpBoot/1.0\r\n\r\n", 200},
	} {
		r := w.say(conn, c.method, c.request)
		if r.StatusCode != c.status || r.Close || r.Header.Get("Location") != "" || r.Header.Get("Connection") == "close" {
			t.Errorf("%q is answered %d, closing %t, %v", c.request, r.StatusCode, r.Close, r.Header)
		}
	}
}
