-- The tables of SealTalk's Node server: datetimes without a default, members
-- that left are kept, and a character set of three bytes.
CREATE TABLE screen_statuses (
	id int(10) unsigned NOT NULL AUTO_INCREMENT,
	operateId char(40) NOT NULL,
	conversationType int(10) unsigned NOT NULL,
	status int(10) unsigned NOT NULL,
	createdAt datetime NOT NULL,
	updatedAt datetime NOT NULL,
	PRIMARY KEY (id),
	UNIQUE KEY screen_statuses_operate_id (operateId)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;
CREATE TABLE friendships (
	id int(10) unsigned NOT NULL AUTO_INCREMENT,
	userId int(10) unsigned NOT NULL,
	friendId int(10) unsigned NOT NULL,
	displayName varchar(32) DEFAULT '',
	message varchar(64) DEFAULT NULL,
	status int(10) unsigned NOT NULL,
	timestamp bigint(20) NOT NULL DEFAULT 0,
	createdAt datetime NOT NULL,
	updatedAt datetime NOT NULL,
	PRIMARY KEY (id),
	UNIQUE KEY friendships_user_id_friend_id (userId, friendId)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;
CREATE TABLE group_members (
	id int(10) unsigned NOT NULL AUTO_INCREMENT,
	groupId int(10) unsigned NOT NULL,
	memberId int(10) unsigned NOT NULL,
	displayName varchar(32) DEFAULT '',
	groupNick varchar(32) DEFAULT '',
	role int(10) unsigned NOT NULL,
	isDeleted tinyint(1) NOT NULL DEFAULT 0,
	timestamp bigint(20) NOT NULL DEFAULT 0,
	createdAt datetime NOT NULL,
	updatedAt datetime NOT NULL,
	PRIMARY KEY (id),
	UNIQUE KEY group_members_group_id_member_id_is_deleted (groupId, memberId, isDeleted)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3;
