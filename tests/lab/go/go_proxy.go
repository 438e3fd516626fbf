// SPDX-License-Identifier: Apache-2.0

// A TCP proxy: proxy ADDRESS TARGET MODE.
//
//	splice    copies with io.Copy from the first byte on, which is splice(2) between two TCP connections
//	line      reads the line of the PROXY protocol first, and copies like that then
//	buffered  copies through a buffer of its own, with read(2) and write(2)
package main

import (
	"bufio"
	"io"
	"log"
	"net"
	"os"
)

func main() {
	address, target, mode := os.Args[1], os.Args[2], os.Args[3]
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(client.(*net.TCPConn), target, mode)
	}
}

func serve(client *net.TCPConn, target, mode string) {
	defer client.Close()
	connection, err := net.Dial("tcp", target)
	if err != nil {
		log.Print(err)
		return
	}
	server := connection.(*net.TCPConn)
	defer server.Close()
	var request io.Reader = client
	if mode == "line" {
		buffered := bufio.NewReader(client)
		if _, err := buffered.ReadString('\n'); err != nil {
			log.Print(err)
			return
		}
		request = buffered
	}
	done := make(chan struct{})
	go func() {
		pass(server, request, mode)
		close(done)
	}()
	pass(client, server, mode)
	<-done
}

// These hide what else a connection can do: io.Copy then uses a buffer.
type plainWriter struct{ io.Writer }
type plainReader struct{ io.Reader }

func pass(to *net.TCPConn, from io.Reader, mode string) {
	var err error
	if mode == "buffered" {
		_, err = io.Copy(plainWriter{to}, plainReader{from})
	} else {
		_, err = io.Copy(to, from)
	}
	if err != nil {
		log.Print(err)
	}
	to.CloseWrite()
}
