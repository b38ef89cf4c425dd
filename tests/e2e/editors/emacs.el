;; Run by test_emacs.py in batch mode: eglot attaches to the server, asks for the code actions of a broken
;; function and carries out the fix. Prints what the test looks for.
(package-initialize) ; Emacs before 29 has eglot as a package
(require 'eglot)

(defun redraft-wait (seconds true)
  "Let messages in until TRUE returns something, for SECONDS at most."
  (let ((end (+ (float-time) seconds)) value)
    (while (and (not (setq value (funcall true))) (< (float-time) end))
      (accept-process-output nil 0.05))
    (unless value (message "GAVE UP") (kill-emacs 1))
    value))

(let ((file (pop command-line-args-left))
      (command (split-string (pop command-line-args-left) "\n" t)))
  (setq eglot-sync-connect 60 eglot-connect-timeout 60 jsonrpc-default-request-timeout 60)
  (add-to-list 'eglot-server-programs (cons 'python-mode command))
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
