-- The tables of SealTalk's Java server: defaults everywhere, no isDeleted, and a
-- character set of four bytes.
CREATE TABLE screen_statuses (
	id int unsigned NOT NULL AUTO_INCREMENT,
	operateId char(40) NOT NULL,
	conversationType int unsigned NOT NULL,
	status int unsigned NOT NULL,
	createdAt datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
	updatedAt datetime NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
	PRIMARY KEY (id),
	UNIQUE KEY uk_operate_id (operateId)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE friendships (
	id int unsigned NOT NULL AUTO_INCREMENT,
	userId int unsigned NOT NULL,
	friendId int unsigned NOT NULL,
	displayName varchar(32) NOT NULL DEFAULT '',
	message varchar(64) NOT NULL DEFAULT '',
	status int unsigned NOT NULL,
	timestamp bigint NOT NULL DEFAULT 0,
	createdAt datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
	updatedAt datetime NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
	PRIMARY KEY (id),
	UNIQUE KEY uk_user_friend (userId, friendId)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE group_members (
	id int unsigned NOT NULL AUTO_INCREMENT,
	groupId int unsigned NOT NULL,
	memberId int unsigned NOT NULL,
	displayName varchar(32) NOT NULL DEFAULT '',
	groupNick varchar(32) NOT NULL DEFAULT '',
	role int unsigned NOT NULL,
	timestamp bigint NOT NULL DEFAULT 0,
	createdAt datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
	updatedAt datetime NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
	PRIMARY KEY (id),
	UNIQUE KEY uk_group_member (groupId, memberId)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
