;; Run by test_emacs.py in batch mode: eglot attaches to the server with what docs/editors.md has people write,
;; asks for the code actions of a broken function and carries out the fix. Prints what the test looks for.
(package-initialize) ; Emacs before 29 has eglot as a package
(require 'eglot)

(let ((file (pop command-line-args-left))
      (configuration (pop command-line-args-left)))
  (setq eglot-sync-connect 60 eglot-connect-timeout 60 jsonrpc-default-request-timeout 60)
  (load configuration)
  (find-file file)
  (python-mode)
  (call-interactively #'eglot)
  (let ((server (eglot-current-server)) action)
    (message "ATTACHED %s" (plist-get (eglot--server-info server) :name))
    (goto-char (point-min))
    (setq action
          (redraft-wait 60
           (lambda ()
             (seq-find
              (lambda (one) (equal (plist-get one :title) "Fix this function"))
              (jsonrpc-request
               server :textDocument/codeAction
               (list :textDocument (eglot--TextDocumentIdentifier)
                     :range (list :start (eglot--pos-to-lsp-position (point-min))
                                  :end (eglot--pos-to-lsp-position (point-min)))
                     :context '(:diagnostics [])))))))
    (message "OFFERED %s" (plist-get action :title))
    (let* ((before (buffer-string)) (command (plist-get action :command)) (eglot-confirm-server-initiated-edits nil))
      (jsonrpc-request server :workspace/executeCommand
                       (list :command (plist-get command :command) :arguments (plist-get command :arguments)))
      (redraft-wait 60 (lambda () (not (equal before (buffer-string)))))
      (save-buffer))
    (eglot-shutdown server)
    (message "SHUT DOWN")))
