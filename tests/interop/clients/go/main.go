// SPDX-License-Identifier: Apache-2.0

// One thing that SSH can do, done with Go's golang.org/x/crypto/ssh.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

const page = "HTTP/1.0 200 OK\r\n\r\nfrom the client\n"

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func signers() []ssh.Signer {
	pem, err := os.ReadFile(os.Getenv("KEY"))
	must(err)
	key, err := ssh.ParsePrivateKey(pem)
	must(err)
	if os.Getenv("CERTIFICATE") == "0" {
		return []ssh.Signer{key}
	}
	line, err := os.ReadFile(os.Getenv("KEY") + "-cert.pub")
	must(err)
	public, _, _, _, err := ssh.ParseAuthorizedKey(line)
	must(err)
	certified, err := ssh.NewCertSigner(public.(*ssh.Certificate), key)
	must(err)
	return []ssh.Signer{certified, key}
}

func connect(rekey uint64) *ssh.Client {
	config := &ssh.ClientConfig{
		Config:          ssh.Config{RekeyThreshold: rekey},
		User:            os.Getenv("LOGIN"),
		Auth:            []ssh.AuthMethod{ssh.PublicKeys(signers()...)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), // the cell's, which nobody has seen before
		Timeout:         15 * time.Second,
	}
	client, err := ssh.Dial("tcp", net.JoinHostPort(os.Getenv("HOST"), os.Getenv("PORT")), config)
	must(err)
	return client
}

func session(client *ssh.Client) *ssh.Session {
	s, err := client.NewSession()
	must(err)
	s.Stdout, s.Stderr = os.Stdout, os.Stderr
	return s
}

func ends(err error) int {
	if exit, ok := err.(*ssh.ExitError); ok {
		if exit.Signal() != "" {
			fmt.Fprintf(os.Stderr, "signal %s message=%q\n", exit.Signal(), exit.Msg())
			return 255
		}
		return exit.ExitStatus()
	}
	must(err)
	return 0
}

func run(command string, rekey uint64) int {
	s := session(connect(rekey))
	s.Stdin = os.Stdin
	return ends(s.Run(command))
}

func shell() int {
	s := session(connect(0))
	s.Stdin = os.Stdin
	must(s.Shell())
	return ends(s.Wait())
}

func env(name, value, command string) int {
	s := session(connect(0))
	must(s.Setenv(name, value))
	return ends(s.Run(command))
}

func size(text string) (rows, columns int) {
	parts := strings.Split(text, "x")
	columns, _ = strconv.Atoi(parts[0])
	rows, _ = strconv.Atoi(parts[1])
	return
}

func pty(first, command string) int {
	s := session(connect(0))
	rows, columns := size(first)
	must(s.RequestPty("xterm-256color", rows, columns, ssh.TerminalModes{ssh.ECHO: 0}))
	return ends(s.Run(command))
}

// What a session prints, up to a word.
func until(r io.Reader, word string) {
	var said []byte
	buffer := make([]byte, 1000)
	for !strings.Contains(string(said), word) {
		n, err := r.Read(buffer)
		must(err)
		said = append(said, buffer[:n]...)
	}
	os.Stdout.Write(said)
}

func resize(first, second, command string) int {
	s := session(connect(0))
	s.Stdout = nil
	out, err := s.StdoutPipe()
	must(err)
	in, err := s.StdinPipe()
	must(err)
	rows, columns := size(first)
	must(s.RequestPty("xterm-256color", rows, columns, ssh.TerminalModes{}))
	must(s.Start(command))
	until(out, "first")
	rows, columns = size(second)
	must(s.WindowChange(rows, columns))
	_, err = in.Write([]byte("\r"))
	must(err)
	_, err = io.Copy(os.Stdout, out)
	must(err)
	return ends(s.Wait())
}

func signal(name, command string) int {
	s := session(connect(0))
	s.Stdout = nil
	out, err := s.StdoutPipe()
	must(err)
	must(s.Start(command))
	until(out, "\n")
	must(s.Signal(ssh.Signal(name)))
	_, err = io.Copy(os.Stdout, out)
	must(err)
	return ends(s.Wait())
}

func keepalive(command string) int {
	client := connect(0)
	s := session(client)
	must(s.Start(command))
	for i := 0; i < 3; i++ {
		answered := make(chan error, 1)
		go func() {
			_, _, err := client.SendRequest("keepalive@openssh.com", true, nil)
			answered <- err
		}()
		select {
		case err := <-answered:
			must(err)
		case <-time.After(3 * time.Second):
			must(fmt.Errorf("no answer to a keepalive"))
		}
		time.Sleep(200 * time.Millisecond)
	}
	return ends(s.Wait())
}

func many(count string) int {
	client := connect(0)
	n, _ := strconv.Atoi(count)
	var group sync.WaitGroup
	for i := 1; i <= n; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			must(session(client).Run(fmt.Sprintf("sleep 0.3; echo channel %d", i)))
		}(i)
	}
	group.Wait()
	return 0
}

func get(conn net.Conn) int {
	_, err := io.WriteString(conn, "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
	must(err)
	said, err := io.ReadAll(conn)
	must(err)
	_, body, _ := strings.Cut(string(said), "\r\n\r\n")
	fmt.Print(body)
	return 0
}

func local(network, address string) int {
	conn, err := connect(0).Dial(network, address)
	must(err)
	return get(conn)
}

// The page comes from this end, out of the channel that the server opens.
func serve(listener net.Listener) {
	conn, err := listener.Accept()
	must(err)
	_, err = conn.Read(make([]byte, 4096))
	must(err)
	_, err = io.WriteString(conn, page)
	must(err)
	conn.Close()
}

func remote(port string) int {
	client := connect(0)
	listener, err := client.Listen("tcp", "127.0.0.1:"+port)
	must(err)
	go serve(listener)
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	return ends(session(client).Run("curl -s -m 5 http://127.0.0.1:" + port + "/"))
}

func remoteUnix() int {
	client := connect(0)
	path := "/tmp/interop." + os.Getenv("FREE_PORT")
	listener, err := client.ListenUnix(path)
	must(err)
	go serve(listener)
	return ends(session(client).Run("curl -s -m 5 --unix-socket " + path + " http://x/; rm -f " + path))
}

func forwardAgent(command string) int {
	client := connect(0)
	must(agent.ForwardToRemote(client, os.Getenv("SSH_AUTH_SOCK")))
	s := session(client)
	must(agent.RequestAgentForwarding(s))
	return ends(s.Run(command))
}

func x11(command string) int {
	client := connect(0)
	visitors := client.HandleChannelOpen("x11")
	go func() {
		for open := range visitors {
			visitor, requests, err := open.Accept()
			must(err)
			go ssh.DiscardRequests(requests)
			_, err = visitor.Read(make([]byte, 4096))
			must(err)
			_, err = io.WriteString(visitor, "hello from the display\n")
			must(err)
			visitor.Close()
		}
	}()
	s := session(client)
	payload := ssh.Marshal(struct {
		Single           bool
		Protocol, Cookie string
		Screen           uint32
	}{false, "MIT-MAGIC-COOKIE-1", "00112233445566778899aabbccddeeff", 0})
	accepted, err := s.SendRequest("x11-req", true, payload)
	must(err)
	if !accepted {
		must(fmt.Errorf("x11-req was refused"))
	}
	return ends(s.Run(command))
}

func main() {
	a := append(os.Args[1:], "", "", "", "")
	port := os.Getenv("FREE_PORT")
	status := 77
	switch a[0] {
	case "run":
		status = run(a[1], 0)
	case "shell":
		status = shell()
	case "env":
		status = env(a[1], a[2], a[3])
	case "pty":
		status = pty(a[1], a[2])
	case "resize":
		status = resize(a[1], a[2], a[3])
	case "signal":
		status = signal(a[1], a[2])
	case "rekey":
		status = run(a[1], 1<<20)
	case "keepalive":
		status = keepalive(a[1])
	case "many":
		status = many(a[1])
	case "local":
		status = local("tcp", "localhost:80")
	case "remote":
		status = remote(port)
	case "remote-any":
		status = remote("0")
	case "remote-unix":
		status = remoteUnix()
	case "agent":
		status = forwardAgent(a[1])
	case "x11":
		status = x11(a[1])
	}
	os.Exit(status)
}
